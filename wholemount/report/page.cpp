#include "wholemount/report/page.h"

#include "wholemount/report/markup.h"

namespace wholemount {

namespace {

constexpr std::string_view kStyle = R"css(
:root{color-scheme:light dark;--paper:#fff;--panel:#f6f7f9;--ink:#1b1f24;--soft:#59636e;--rule:#d5dae0;
--c0:#1f6fd0;--c1:#c2410c;--c2:#15803d;--c3:#9333ea;--c4:#b4881b;--c5:#0e7490;
--k0:#3b82d6;--k1:#e07b39;--k2:#b9a23a;--b0:#5b6470;--b1:#7b8592;--b2:#98a1ad;--b3:#b4bcc6;--b4:#ced4db;--alarm:#d11a2a}
@media (prefers-color-scheme:dark){:root{--paper:#14171b;--panel:#1d2127;--ink:#e7eaee;--soft:#a3acb8;--rule:#363d47;
--c0:#6cb2ff;--c1:#ff9d66;--c2:#5fd38a;--c3:#c79bff;--c4:#e3c25a;--c5:#55cfe0;
--k0:#4a90e2;--k1:#e58a4e;--k2:#c7b04a;--b0:#454e5a;--b1:#566170;--b2:#687485;--b3:#7c8899;--b4:#929dad;--alarm:#ff6b76}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif}
main{max-width:1080px;margin:0 auto;padding:24px 20px 64px}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:40px 0 12px;padding-top:12px;border-top:1px solid var(--rule)}
h3{font-size:1.02rem;margin:0 0 10px;overflow-wrap:anywhere}
p{margin:0 0 12px;max-width:75ch}
.lead,.small,.absent,.legend,figcaption,caption{color:var(--soft)}
.small,.legend{font-size:.85rem}
.warning{border-left:4px solid var(--alarm);padding:6px 12px;background:var(--panel);font-weight:600}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px;margin:18px 0 0;padding:0}
.cards div{background:var(--panel);border:1px solid var(--rule);border-radius:8px;padding:10px 12px}
.cards dt{font-size:.82rem;color:var(--soft)}
.cards dd{margin:0;font-size:1.35rem;font-weight:600;font-variant-numeric:tabular-nums}
.cards dd small{display:block;font-size:.8rem;font-weight:400;color:var(--soft)}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:22px}
figure{margin:0;min-width:0}
.chart figcaption{font-weight:600;color:var(--ink);margin-bottom:4px}
svg{display:block;width:100%;height:auto}
.scroll{overflow-x:auto}
.wide svg{min-width:620px}
.grid line,svg .grid{stroke:var(--rule);stroke-width:1}
svg .axis{stroke:var(--soft);stroke-width:1}
svg text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif;fill:var(--soft)}
svg .label{fill:var(--ink)}
svg .note{fill:var(--ink);paint-order:stroke;stroke:var(--paper);stroke-width:3px;stroke-linejoin:round}
.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.line.thin{stroke-width:.8;opacity:.5}
.c0{stroke:var(--c0)}.c1{stroke:var(--c1)}.c2{stroke:var(--c2)}.c3{stroke:var(--c3)}.c4{stroke:var(--c4)}.c5{stroke:var(--c5)}
.dot{fill:var(--paper);stroke-width:1.6}
.k0{fill:var(--k0)}.k1{fill:var(--k1)}.k2{fill:var(--k2)}
.b0{fill:var(--b0)}.b1{fill:var(--b1)}.b2{fill:var(--b2)}.b3{fill:var(--b3)}.b4{fill:var(--b4)}
.measured,.peak{stroke:var(--alarm);stroke-width:2;fill:none}
.divider{stroke:var(--soft);stroke-dasharray:4 3}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:4px 16px;margin:6px 0 0;padding:0}
.legend li{display:flex;align-items:center;gap:6px}
.key{width:18px;height:0;border-top:3px solid}
.key.thin{border-top-width:1px}
.key.c0{border-color:var(--c0)}.key.c1{border-color:var(--c1)}.key.c2{border-color:var(--c2)}
.key.c3{border-color:var(--c3)}.key.c4{border-color:var(--c4)}.key.c5{border-color:var(--c5)}
.key.measured{border-color:var(--alarm)}
.box{width:12px;height:12px;border-radius:2px;flex:none}
.box.k0{background:var(--k0)}.box.k1{background:var(--k1)}.box.k2{background:var(--k2)}
.box.b0{background:var(--b0)}.box.b1{background:var(--b1)}.box.b2{background:var(--b2)}.box.b3{background:var(--b3)}.box.b4{background:var(--b4)}
.box.red{background:#eb2323}.box.blue{background:#2864ff}.box.purple{background:#a532e1}.box.amber{background:#faaa14}
table{border-collapse:collapse;width:100%;font-size:.92rem}
caption{text-align:left;padding-bottom:6px;font-size:.85rem}
th,td{text-align:left;padding:5px 12px 5px 0;border-bottom:1px solid var(--rule);vertical-align:top;overflow-wrap:anywhere}
th{font-weight:600}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap;overflow-wrap:normal}
.scroll th,.scroll td{overflow-wrap:normal}.scroll tbody th{min-width:8.5em}
.chart+.scroll{margin-top:18px}
.matrix{width:auto}.matrix th,.matrix td{padding:4px 7px}.matrix td.n{min-width:2.6em}.scroll .matrix tbody th{min-width:0;white-space:nowrap}
.counts{width:auto}.counts th,.counts td{padding-right:22px}.counts svg{width:220px}
.examples{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr));gap:16px}
.examples div{display:flex;gap:3px}.examples img{flex:1;min-width:0;height:auto;border-radius:3px}
.facts th{width:11em;font-weight:400;color:var(--soft)}
.case{background:var(--panel);border:1px solid var(--rule);border-radius:8px;padding:14px;margin:0 0 18px}
.case p{margin:8px 0 0;max-width:none}
.rank{display:inline-block;background:var(--ink);color:var(--paper);border-radius:4px;padding:0 7px;font-size:.82rem;font-weight:600}
.score{float:right;font-variant-numeric:tabular-nums}
.views{display:grid;grid-template-columns:var(--columns);gap:12px;align-items:end}
.view img{display:block;width:100%;height:auto;background:#000;border-radius:4px}
.view figcaption{display:flex;justify-content:space-between;gap:8px;font-size:.85rem;margin-top:4px}
.view input{width:100%;margin:2px 0 0;accent-color:var(--c0);display:none}
.script .view input{display:block}
details pre{background:var(--panel);border:1px solid var(--rule);border-radius:8px;padding:12px;overflow-x:auto;font-size:.82rem}
summary{cursor:pointer}
@media (max-width:600px){.scroll table{font-size:.85rem}.scroll th,.scroll td{padding-right:8px}.scroll tbody th{min-width:6.2em}main{padding:16px 12px 40px}.views{grid-template-columns:1fr}.score{float:none;display:block}
.cards{grid-template-columns:repeat(2,1fr)}.facts th{width:8.5em}
.wide{overflow-x:auto}.wide::after{content:"The picture goes on: swipe sideways.";display:block;margin-top:6px;font-size:.8rem;color:var(--soft)}}
@media print{:root{color-scheme:light;--paper:#fff;--panel:#fff;--ink:#000;--soft:#444;--rule:#bbb;
--c0:#1f6fd0;--c1:#c2410c;--c2:#15803d;--c3:#9333ea;--c4:#b4881b;--c5:#0e7490;
--k0:#3b82d6;--k1:#e07b39;--k2:#b9a23a;--b0:#5b6470;--b1:#7b8592;--b2:#98a1ad;--b3:#b4bcc6;--b4:#ced4db;--alarm:#d11a2a}
body{font-size:11pt}main{max-width:none;padding:0}.script .view input{display:none}
.cards{grid-template-columns:repeat(5,1fr)}.cards dd{font-size:1.1rem}
.scroll{overflow:visible}.scroll table{font-size:.75rem}.scroll td.n,.scroll th.n{white-space:normal;padding-right:6px}
pre{white-space:pre-wrap}.wide::after{content:none}.wide svg{min-width:0}.grid{grid-template-columns:1fr 1fr}figure,.case,.cards div,tr{break-inside:avoid}h2,h3{break-after:avoid}
.views{grid-template-columns:var(--columns)}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
)css";

// Sliders swap the picture of their view. Without scripts the fullest slices are shown.
constexpr std::string_view kScript = R"js(
(function () {
  "use strict";
  document.documentElement.classList.add("script");
  document.querySelectorAll("input[data-view]").forEach(function (slider) {
    var id = slider.dataset.view;
    var picture = document.getElementById(id);
    var output = document.getElementById(id + "-slice");
    var numbers = slider.dataset.slices.split(",");
    var first = picture.src;
    var pictures = null;
    function show() {
      if (pictures === null) {
        pictures = JSON.parse(document.getElementById(id + "-data").textContent);
      }
      var at = Number(slider.value);
      var text = "slice " + numbers[at] + slider.dataset.of;
      picture.src = pictures[at] === "" ? first : "data:image/png;base64," + pictures[at];
      output.textContent = text;
      slider.setAttribute("aria-valuetext", text);
    }
    slider.value = slider.defaultValue;
    slider.addEventListener("input", show);
  });
  // Paper cannot be unfolded.
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details").forEach(function (part) { part.open = true; });
  });
})();
)js";

}  // namespace

std::string html_page(const std::string& title, std::string_view body) {
  const std::string head =
      empty_element("meta", {{"charset", "utf-8"}}) +
      empty_element("meta",
                    {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}}) +
      empty_element("link", {{"rel", "icon"}, {"href", "data:,"}}) + text_element("title", title) +
      element("style", kStyle);
  return "<!DOCTYPE html>\n" +
         element("html", {{"lang", "en"}},
                 element("head", head) +
                     element("body", element("main", body) + element("script", kScript))) +
         "\n";
}

}  // namespace wholemount
