// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package retry_test

import (
	"fmt"
	"strings"
)

// curve is one way to wait, and what came of it.
type curve struct {
	name string
	*herd
}

// The plot: seconds after the start against requests a second, one panel a curve.
const (
	plotFrom, plotTo = 540, 780
	plotTop          = 110.0
	plotWidth        = 720
	panelHeight      = 150
	panelGap         = 50
	marginLeft       = 60
	marginTop        = 40
)

func plotX(second int) float64 {
	return marginLeft + float64(second-plotFrom)/(plotTo-plotFrom)*plotWidth
}

// herdPlot draws offered load and signatures as an SVG.
func herdPlot(curves []curve) string {
	var b strings.Builder
	height := marginTop + len(curves)*(panelHeight+panelGap)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n", plotWidth+marginLeft+30, height)
	b.WriteString(`<rect width="100%" height="100%" fill="white"/>` + "\n")
	fmt.Fprintf(&b, `<text x="%d" y="20" font-size="14">%d signers behind a service of %d requests a second that is down for ten minutes (mean of %d s)</text>`+"\n", marginLeft, signers, capacity, window)
	for i, c := range curves {
		panel(&b, c, float64(marginTop+i*(panelHeight+panelGap)))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func panel(b *strings.Builder, c curve, top float64) {
	y := func(v float64) float64 { return top + panelHeight - min(v, plotTop)/plotTop*panelHeight }
	line := func(color, width string, x1, y1, x2, y2 float64) {
		fmt.Fprintf(b, `<line x1="%.0f" y1="%.0f" x2="%.0f" y2="%.0f" stroke="%s" stroke-width="%s"/>`+"\n", x1, y1, x2, y2, color, width)
	}
	for _, v := range []float64{0, capacity, 2 * capacity, 100} {
		line("#ddd", "1", plotX(plotFrom), y(v), plotX(plotTo), y(v))
		fmt.Fprintf(b, `<text x="%d" y="%.0f" text-anchor="end">%.0f</text>`+"\n", marginLeft-6, y(v)+4, v)
	}
	for s := plotFrom; s <= plotTo; s += 60 {
		fmt.Fprintf(b, `<text x="%.0f" y="%.0f" text-anchor="middle">%d s</text>`+"\n", plotX(s), top+panelHeight+16, s)
	}
	line("#c33", "1", plotX(600), top, plotX(600), top+panelHeight)
	polyline(b, "#c33", c.load, y)
	polyline(b, "#283", c.done, y)
	when := fmt.Sprintf("all signed %.0f s after its return", (c.last - down).Seconds())
	if c.last > down+2*window*60e9 {
		when = fmt.Sprintf("all signed %.0f min after its return", (c.last - down).Minutes())
	}
	fmt.Fprintf(b, `<text x="%.0f" y="%.0f">%s: %s, busiest second %d (red: requests, green: signed)</text>`+"\n", plotX(plotFrom), top-6, c.name, when, busiest(c.load[600:]))
}

func polyline(b *strings.Builder, color string, perSecond []int, y func(float64) float64) {
	fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="1.5" points="`, color)
	for s := plotFrom; s < plotTo; s++ {
		sum := 0
		for i := max(0, s-window+1); i <= s && i < len(perSecond); i++ {
			sum += perSecond[i]
		}
		fmt.Fprintf(b, "%.1f,%.1f ", plotX(s), y(float64(sum)/window))
	}
	b.WriteString(`"/>` + "\n")
}
