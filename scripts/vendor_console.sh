#!/usr/bin/env bash
# Fetch and build the libraries of the monitor's console: vendor_console.sh
#
# What comes of it is committed, so that nobody who installs or changes Headrace needs npm or a network for it.
set -euo pipefail
preact=11.2.0 htm=3.1.1 uplot=1.6.32 echarts=6.1.0 esbuild=0.28.2
out=$(cd "$(dirname "$0")/../services/monitor/headrace_monitor/wire/console/web/vendor" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{"private": true}' >package.json
npm install --silent --no-audit --no-fund \
  "preact@$preact" "htm@$htm" "uplot@$uplot" "echarts@$echarts" "esbuild@$esbuild"

cat >preact.js <<'END'
import htm from "htm";
import { h } from "preact";
export { Component, Fragment, createContext, createRef, h, render } from "preact";
export { useCallback, useContext, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
export const html = htm.bind(h);
END
cat >echarts.js <<'END'
import { init, use } from "echarts/core";
import { BarChart, CustomChart, HeatmapChart, LineChart } from "echarts/charts";
import { AriaComponent, GridComponent, LegendComponent, MarkLineComponent, TooltipComponent, VisualMapComponent } from "echarts/components";
import { CanvasRenderer } from "echarts/renderers";
use([BarChart, CustomChart, HeatmapChart, LineChart, AriaComponent, GridComponent, LegendComponent, MarkLineComponent,
  TooltipComponent, VisualMapComponent, CanvasRenderer]);
export { init };
END
echo 'export { default } from "uplot";' >uplot.js
for each in preact echarts uplot; do
  npx esbuild "$each.js" --bundle --minify --format=esm --legal-comments=none --outfile="$out/$each.js" --log-level=error
done
cp node_modules/uplot/dist/uPlot.min.css "$out/uplot.css"
for each in preact htm uplot echarts zrender tslib; do
  file=$(find "node_modules/$each" -maxdepth 1 -iname 'licen[sc]e*' | head -1)
  cp "$file" "$out/LICENSE.$each.txt"
done
cp node_modules/echarts/NOTICE "$out/NOTICE.echarts.txt"
for each in preact htm uplot echarts zrender tslib; do
  node -p "const p = require('./node_modules/$each/package.json'); [p.name, p.version, p.license].join(' ')"
done >"$out/VERSIONS"
