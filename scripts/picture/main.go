// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Command picture draws what "make demo" prints, which it reads on stdin, as a terminal
// that shows one step after the other: an SVG on stdout. "make pictures" runs it.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"html"
	"io"
	"math"
	"os"
	"regexp"
	"strings"
)

func main() {
	dark := flag.Bool("dark", false, "draw it for a dark page")
	still := flag.Int("still", 0, "draw step `N` alone, to look at it")
	flag.Parse()
	if err := run(os.Stdin, os.Stdout, *dark, *still); err != nil {
		fmt.Fprintln(os.Stderr, "picture: error:", err)
		os.Exit(1)
	}
}

// scene is one step of the demo.
type scene struct {
	caption string
	lines   []string
}

func run(in io.Reader, out io.Writer, dark bool, still int) error {
	scenes, err := read(in)
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, draw(scenes, dark, still))
	return err
}

var (
	caption  = regexp.MustCompile(`^[0-9]\. `)
	loopback = regexp.MustCompile(`(http://)?127\.0\.0\.1:[0-9]+`)
)

// read finds the steps, and gives the servers of this machine the names of those that
// they stand for: the first registry is Docker Hub, the second GHCR, the rest Sigstore.
func read(in io.Reader) ([]scene, error) {
	var scenes []scene
	names := map[string]string{}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		line := loopback.ReplaceAllStringFunc(lines.Text(), func(host string) string {
			if strings.HasPrefix(host, "http://") {
				return "https://sigstore.example"
			}
			if names[host] == "" {
				names[host] = []string{"docker.io", "ghcr.io", "registry.example"}[min(len(names), 2)]
			}
			return names[host]
		})
		if strings.HasPrefix(line, "All steps went") {
			break
		}
		switch {
		case caption.MatchString(line):
			scenes = append(scenes, scene{caption: line})
		case len(scenes) > 0:
			last := &scenes[len(scenes)-1]
			last.lines = append(last.lines, strings.TrimRight(line, " "))
		}
	}
	if len(scenes) == 0 {
		return nil, errors.Join(errors.New("no step found: give it the output of make demo"), lines.Err())
	}
	for i := range scenes {
		scenes[i].lines = wrap(aligned(trimmed(scenes[i].lines)))
	}
	return scenes, lines.Err()
}

// trimmed drops the empty lines around a step.
func trimmed(lines []string) []string {
	return strings.Split(strings.Trim(strings.Join(lines, "\n"), "\n"), "\n")
}

var gap = regexp.MustCompile(` {2,}`)

// aligned sets the tables anew: other names have other widths.
func aligned(lines []string) []string {
	for start := 0; start < len(lines); start++ {
		end := start
		for end < len(lines) && gap.MatchString(strings.TrimSpace(lines[end])) {
			end++
		}
		var widths []int
		for _, line := range lines[start:end] {
			for i, cell := range gap.Split(line, -1) {
				if i == len(widths) {
					widths = append(widths, 0)
				}
				widths[i] = max(widths[i], len(cell))
			}
		}
		for n := start; n < end; n++ {
			var b strings.Builder
			for i, cell := range gap.Split(lines[n], -1) {
				fmt.Fprintf(&b, "%-*s  ", widths[i], cell)
			}
			lines[n] = strings.TrimRight(b.String(), " ")
		}
		start = max(start, end)
	}
	return lines
}

const columns = 142

// wrap breaks lines as a terminal does.
func wrap(lines []string) (wrapped []string) {
	for _, line := range lines {
		for len(line) > columns {
			wrapped = append(wrapped, line[:columns])
			line = line[columns:]
		}
		wrapped = append(wrapped, line)
	}
	return wrapped
}

const (
	charWidth  = 7.2
	lineHeight = 17
	margin     = 18
	top        = 74 // of the first line: below the bar and the caption
	perLine    = 0.35
	perScene   = 3.0 // seconds
)

// colours of a page: background, bar, caption, text, dim, good, warning, bad.
type colours struct{ back, bar, caption, text, dim, good, warn, bad string }

var (
	light = colours{"#ffffff", "#f0f2f5", "#1f2328", "#1f2328", "#59636e", "#1a7f37", "#9a6700", "#cf222e"}
	night = colours{"#0d1117", "#161b22", "#f0f6fc", "#d1d7e0", "#9198a1", "#3fb950", "#d29922", "#f85149"}
)

func draw(scenes []scene, dark bool, still int) string {
	c := light
	if dark {
		c = night
	}
	rows, total := 0, 0.0
	for _, s := range scenes {
		rows = max(rows, len(s.lines))
		total += s.seconds()
	}
	width, height := int(math.Ceil(columns*charWidth))+2*margin, top+rows*lineHeight+margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" role="img" aria-label="A terminal that runs make demo, step by step">
<style>
text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:%s;white-space:pre}
.c{font:600 15px -apple-system,"Segoe UI",Helvetica,Arial,"DejaVu Sans",sans-serif;fill:%s}
.p{font-weight:700}.d{fill:%s}.g{fill:%s}.w{fill:%s}.b{fill:%s}
`, width, height, c.text, c.caption, c.dim, c.good, c.warn, c.bad)
	at := 0.0
	for i, s := range scenes {
		from, to := 100*at/total, 100*(at+s.seconds())/total
		at += s.seconds()
		first, last := "hidden", fmt.Sprintf("%.2f%%{visibility:hidden}", to)
		if i == len(scenes)-1 {
			last = ""
		}
		if i == 0 {
			first = "visible"
		}
		if still == 0 {
			fmt.Fprintf(&b, "@keyframes k%d{0%%{visibility:%s}%.2f%%{visibility:visible}%s}#s%[1]d{animation:k%[1]d %.1[5]fs step-end infinite}\n", i+1, first, from, last, total)
		}
	}
	// Who wants no motion sees the step that the project is about.
	fmt.Fprintf(&b, "@media(prefers-reduced-motion:reduce){g{animation:none!important}#s1{visibility:hidden}#s3{visibility:visible}}\n</style>\n")
	fmt.Fprintf(&b, `<rect x=".5" y=".5" width="%d" height="%d" rx="8" fill="%s" stroke="%s"/>`+"\n", width-1, height-1, c.back, c.dim)
	fmt.Fprintf(&b, `<path d="M1 28V9a8 8 0 0 1 8-8h%da8 8 0 0 1 8 8v19z" fill="%s"/>`, width-18, c.bar)
	for i, fill := range []string{c.bad, c.warn, c.good} {
		fmt.Fprintf(&b, `<circle cx="%d" cy="15" r="5" fill="%s"/>`, 18+18*i, fill)
	}
	b.WriteString("\n")
	for i, s := range scenes {
		visibility := "hidden"
		if i == 0 && still == 0 || i == still-1 {
			visibility = "visible"
		}
		fmt.Fprintf(&b, `<g id="s%d" visibility="%s"><text class="c" x="%d" y="52">%s</text>`+"\n", i+1, visibility, margin, html.EscapeString(s.caption))
		for n, line := range s.lines {
			if line != "" {
				// The length holds for every font, so that no line is cut off.
				fmt.Fprintf(&b, `<text x="%d" y="%d" textLength="%.1f" lengthAdjust="spacingAndGlyphs">%s</text>`+"\n", margin, top+n*lineHeight+6, float64(len([]rune(line)))*charWidth, coloured(line))
			}
		}
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (s scene) seconds() float64 { return perScene + perLine*float64(len(s.lines)) }

// paint says which words have a colour.
var paint = []struct {
	words *regexp.Regexp
	class string
}{
	{regexp.MustCompile(`^\$ .*`), "p"},
	{regexp.MustCompile(`^(REFERENCE|IMAGE) .*`), "d"},
	{regexp.MustCompile(`trying again|^signretry: the log has the entry and its answer was lost`), "w"},
	{regexp.MustCompile(`--\w+`), "p"},
	{regexp.MustCompile(`\brestored?\b`), "w"},
	{regexp.MustCompile(`\bdeleted?\b|HTTP [45][0-9]{2}`), "b"},
	{regexp.MustCompile(`\b(absent|signed|already signed|done|verified|pushed)\b|should build: \w+|^Fulcio has.*`), "g"},
	{regexp.MustCompile(`^(tagcheck|signretry|regcleanup): `), "d"},
}

// coloured puts the words that matter into colour; what matched first stays.
func coloured(line string) string {
	classes := make([]string, len(line))
	for _, p := range paint {
		for _, match := range p.words.FindAllStringIndex(line, -1) {
			for i := match[0]; i < match[1]; i++ {
				if classes[i] == "" {
					classes[i] = p.class
				}
			}
		}
	}
	var b strings.Builder
	for start := 0; start < len(line); {
		end := start
		for end < len(line) && classes[end] == classes[start] {
			end++
		}
		text := html.EscapeString(line[start:end])
		if classes[start] != "" {
			text = `<tspan class="` + classes[start] + `">` + text + `</tspan>`
		}
		b.WriteString(text)
		start = end
	}
	return b.String()
}
