// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/signretry"
)

func TestTimeline(t *testing.T) {
	t.Parallel()
	const digest = "sha256:206ca9c963ed47f880e87af3d4d7d9894745b5de2e87a733ab118b1dad0eaa56"
	start := time.UnixMilli(1795536000000)
	at := start.Add
	failed := errors.New("```\n::error::no server's words in the chart")
	attempts := []signretry.Attempt{
		{Stage: "identity", Subject: "all images", Number: 1, Start: at(0), Took: 200 * time.Microsecond},
		{Stage: "image", Subject: "ghcr.io/org/app@" + digest, Number: 1, Start: at(0), Took: time.Second},
		{Stage: "log entry", Subject: digest, Number: 1, Start: at(2 * time.Second), Took: time.Second, Wait: 3 * time.Second, Err: failed},
		{Stage: "attach", Subject: "localhost:5000/a:b@" + digest, Number: 1, Start: at(7 * time.Second), Took: time.Second},
		{Stage: "log entry", Subject: digest, Number: 2, Start: at(6 * time.Second), Took: time.Second},
	}
	want := "\n```mermaid\n%%{init: {\"gantt\": {\"leftPadding\": 210}}}%%\ngantt\n  dateFormat x\n  axisFormat %H:%M:%S\n  todayMarker off\n" +
		"  section identity\n  try 1 :done, 1795536000000, 1795536000001\n" +
		"  section image app 206ca9c9\n  try 1 :done, 1795536000000, 1795536001000\n" +
		"  section log entry 206ca9c9\n  try 1 :crit, 1795536002000, 1795536003000\n  wait 3s :active, 1795536003000, 1795536006000\n  try 2 :done, 1795536006000, 1795536007000\n" +
		"  section attach a b 206ca9c9\n  try 1 :done, 1795536007000, 1795536008000\n```\n"
	if diff := cmp.Diff(want, timeline(attempts)); diff != "" {
		t.Errorf("timeline (-want +got):\n%s", diff)
	}
	if got := timeline(attempts[:2]); got != "" {
		t.Errorf("nothing failed, and there is a timeline:\n%s", got)
	}
	var many []signretry.Attempt
	for i := range 5000 {
		many = append(many, signretry.Attempt{Stage: "log entry", Subject: digest, Number: i + 1, Start: at(time.Duration(i) * time.Second), Took: time.Second, Wait: time.Second, Err: failed})
	}
	if got := timeline(many); len(got) > 50000 || !strings.Contains(got, "4900 more attempts are not drawn") {
		t.Errorf("%d characters for %d attempts, ending in %q", len(got), len(many), got[len(got)-100:])
	}
}
