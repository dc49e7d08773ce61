#include "wholemount/image/tiff_axes.h"

#include <gtest/gtest.h>

#include "wholemount/image/volume_test_support.h"

namespace wholemount {
namespace {

std::string ome(const std::string& sizes, const std::string& data) {
  return "<?xml?><OME xmlns=\"x\"><Image ID=\"1\"><Pixels ID=\"Pixels:0\" " + sizes + ">" + data +
         "</Pixels></Image></OME>";
}

TEST(TiffAxes, pages_without_a_description_are_planes) {
  const TiffAxes axes = read_tiff_axes({"a.tif", "made by hand", 4, 3});
  EXPECT_EQ(axes.planes, 4);
  EXPECT_EQ(axes.channels, 1);
  EXPECT_EQ(axes.pages, (std::vector<int64_t>{0, 1, 2, 3}));
}

TEST(TiffAxes, dimension_order_says_which_axis_runs_fastest) {
  const std::string sizes = "SizeX=\"9\" SizeY=\"9\" SizeZ=\"2\" SizeC=\"3\" SizeT=\"1\" ";
  const TiffAxes channels_first =
      read_tiff_axes({"a", ome(sizes + "DimensionOrder=\"XYCZT\"", "<TiffData/>"), 6, 1});
  EXPECT_EQ(channels_first.pages, (std::vector<int64_t>{0, 3, 1, 4, 2, 5}));
  const TiffAxes planes_first =
      read_tiff_axes({"a", ome(sizes + "DimensionOrder='XYZTC'", ""), 6, 1});
  EXPECT_EQ(planes_first.pages, (std::vector<int64_t>{0, 1, 2, 3, 4, 5}));
}

TEST(TiffAxes, tiff_data_elements_place_single_pages) {
  const std::string sizes =
      "SizeZ=\"1\" SizeC=\"3\" SizeT=\"1\" SizeX=\"9\" SizeY=\"9\" DimensionOrder=\"XYCZT\"";
  const TiffAxes axes = read_tiff_axes(
      {"a",
       ome(sizes,
           "<Channel/><TiffData IFD=\"0\" FirstC=\"2\"/><TiffData FirstC=\"0\" IFD=\"1\" "
           "PlaneCount=\"2\"/>"),
       3, 1});
  EXPECT_EQ(axes.pages, (std::vector<int64_t>{1, 2, 0}));
}

TEST(TiffAxes, samples_of_a_pixel_count_as_channels_of_the_xml) {
  const TiffAxes axes = read_tiff_axes(
      {"a", ome("SizeZ=\"2\" SizeC=\"3\" SizeT=\"1\" DimensionOrder=\"XYCZT\"", "<TiffData/>"), 2,
       3});
  EXPECT_EQ(axes.channels, 1);
  EXPECT_EQ(axes.planes, 2);
}

TEST(TiffAxes, impossible_descriptions_are_file_errors) {
  const std::string good = "SizeZ=\"2\" SizeC=\"3\" SizeT=\"1\" DimensionOrder=\"XYCZT\"";
  WM_EXPECT_ERROR(read_tiff_axes({"a.tif", ome(good, "<TiffData/>"), 5, 1}), FileError,
                  "2 planes of 3 channels, but the file has 5 pages");
  WM_EXPECT_ERROR(
      read_tiff_axes({"a", ome("SizeZ=\"1\" SizeC=\"1\" SizeT=\"4\"", "<TiffData/>"), 4, 1}),
      FileError, "4 time points");
  WM_EXPECT_ERROR(
      read_tiff_axes({"a", ome("SizeZ=\"0\" SizeC=\"1\" SizeT=\"1\"", "<TiffData/>"), 4, 1}),
      FileError, "SizeZ is not a size");
  WM_EXPECT_ERROR(
      read_tiff_axes(
          {"a", ome("SizeZ=\"16777216\" SizeC=\"16777216\" SizeT=\"1\"", "<TiffData/>"), 4, 1}),
      FileError, "absurd");
  WM_EXPECT_ERROR(read_tiff_axes({"a", ome(good, "<TiffData IFD=\"-1\"/>"), 6, 1}), FileError,
                  "impossible numbers");
  WM_EXPECT_ERROR(read_tiff_axes({"a", "ImageJ=1.5\nimages=4\nchannels=3\n", 4, 1}), FileError,
                  "3 channels do not divide 4 pages");
  WM_EXPECT_ERROR(read_tiff_axes({"a", "ImageJ=1.5\nimages=4\nframes=4\n", 4, 1}), FileError,
                  "4 time points");
  WM_EXPECT_ERROR(read_tiff_axes({"a", "ImageJ=1.5\nimages=900\n", 1, 1}), FileError,
                  "behind a single directory");
}

}  // namespace
}  // namespace wholemount
