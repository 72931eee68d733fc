// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/LerianStudio/pushguard/pkg/signretry"
)

// maxBars bounds the timeline: Mermaid draws no text of more than 50,000 characters.
const maxBars = 200

// timeline draws stages, attempts and waits as a Mermaid gantt chart, which GitHub
// shows in a step's summary. A run in which nothing failed needs none.
func timeline(attempts []signretry.Attempt) string {
	if !slices.ContainsFunc(attempts, func(a signretry.Attempt) bool { return a.Err != nil }) {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n```mermaid\n%%{init: {\"gantt\": {\"leftPadding\": 210}}}%%\ngantt\n  dateFormat x\n  axisFormat %H:%M:%S\n  todayMarker off\n")
	section := ""
	bars, left := 0, 0
	for _, a := range ordered(attempts) {
		if bars >= maxBars {
			left++
			continue
		}
		if name := strings.TrimSpace(a.Stage + " " + subject(a.Subject)); name != section {
			section = name
			fmt.Fprintf(&b, "  section %s\n", section)
		}
		// A bar of a millisecond is not seen, and Mermaid refuses one of none.
		bar(&b, fmt.Sprintf("try %d", a.Number), a.Err != nil, a.Start, max(a.Took, time.Millisecond))
		bars++
		if a.Wait > 0 {
			bar(&b, fmt.Sprintf("wait %s", a.Wait.Round(100*time.Millisecond)), false, a.Start.Add(a.Took), a.Wait)
			bars++
		}
	}
	b.WriteString("```\n")
	if left > 0 {
		fmt.Fprintf(&b, "\n%d more attempts are not drawn; --json has them all.\n", left)
	}
	return b.String()
}

func bar(b *strings.Builder, name string, failed bool, start time.Time, took time.Duration) {
	kind := "active, "
	switch {
	case failed:
		kind = "crit, "
	case strings.HasPrefix(name, "try"):
		kind = "done, "
	}
	fmt.Fprintf(b, "  %s :%s%d, %d\n", name, kind, start.UnixMilli(), start.Add(took).UnixMilli())
}

// ordered puts the attempts of one stage for one subject together, in the order in
// which these began.
func ordered(attempts []signretry.Attempt) []signretry.Attempt {
	type key struct{ stage, subject string }
	first := map[key]int{}
	for i, a := range slices.Backward(attempts) {
		first[key{a.Stage, a.Subject}] = i
	}
	return slices.SortedStableFunc(slices.Values(attempts), func(a, b signretry.Attempt) int {
		return first[key{a.Stage, a.Subject}] - first[key{b.Stage, b.Subject}]
	})
}

// subject is the last part of the repository and the first digits of the digest: the
// space beside the chart is narrow, and Mermaid reads colons as its own.
func subject(s string) string {
	if s == "all images" {
		return ""
	}
	name, digest, ok := strings.Cut(s, "@")
	if !ok {
		name, digest = "", s
	}
	_, digits, _ := strings.Cut(digest, ":")
	short := name[strings.LastIndex(name, "/")+1:] + " " + digits[:min(len(digits), 8)]
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if strings.ContainsRune(":;#,%", r) {
			return ' '
		}
		return r
	}, short))
}
