#include "wholemount/report/markup.h"

#include <gtest/gtest.h>

#include "wholemount/report/base64.h"
#include "wholemount/report/markup_test_support.h"
#include "wholemount/report/page.h"

namespace wholemount {
namespace {

using testing::markup_error;

TEST(Markup, special_characters_become_entities) {
  EXPECT_EQ(escape_markup("a<b & \"c\" > 'd'"), "a&lt;b &amp; &quot;c&quot; &gt; &#39;d&#39;");
  EXPECT_EQ(escape_markup("x\ny\tz\x01\x7f"), "x\ny\tz  ");
}

TEST(Markup, text_and_attributes_are_escaped_content_is_not) {
  EXPECT_EQ(text_element("p", {{"title", "\"<\""}}, "<b>"),
            "<p title=\"&quot;&lt;&quot;\">&lt;b&gt;</p>");
  EXPECT_EQ(element("p", "<b>x</b>"), "<p><b>x</b></p>");
  EXPECT_EQ(empty_element("img", {{"alt", ""}}), "<img alt=\"\"/>");
}

TEST(Markup, coordinates_are_short_and_never_minus_zero) {
  EXPECT_EQ(coordinate(12), "12");
  EXPECT_EQ(coordinate(12.3456), "12.35");
  EXPECT_EQ(coordinate(-0.001), "0");
  EXPECT_EQ(coordinate(1e7), "10000000");
}

TEST(Markup, the_checker_finds_what_is_unbalanced) {
  EXPECT_EQ(markup_error("<p><b>x</b><br/></p>"), "");
  EXPECT_NE(markup_error("<p><b>x</p></b>"), "");
  EXPECT_NE(markup_error("<p>"), "");
  EXPECT_NE(markup_error("</p>"), "");
  EXPECT_NE(markup_error("<p>1 < 2</p>"), "");
  EXPECT_NE(markup_error("<p title=\"a<b\"></p>"), "");
  EXPECT_EQ(markup_error("<script>if (a < b) {}</script>"), "");
}

TEST(Page, pages_are_balanced_and_load_nothing) {
  const std::string page = html_page("a <run>", element("p", "x"));
  EXPECT_EQ(markup_error(page), "");
  EXPECT_NE(page.find("<title>a &lt;run&gt;</title>"), std::string::npos);
  for (const char* link : {"http:", "https:", "src=\"//", "@import", "url("}) {
    EXPECT_EQ(page.find(link), std::string::npos) << link;
  }
}

TEST(Base64, equals_the_examples_of_rfc_4648) {
  EXPECT_EQ(encode_base64(""), "");
  EXPECT_EQ(encode_base64("f"), "Zg==");
  EXPECT_EQ(encode_base64("fo"), "Zm8=");
  EXPECT_EQ(encode_base64("foo"), "Zm9v");
  EXPECT_EQ(encode_base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(encode_base64("\xff\xfe\xfd"), "//79");
}

}  // namespace
}  // namespace wholemount
