// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/LerianStudio/pushguard/e2e/process"
	"github.com/LerianStudio/pushguard/e2e/stack"
)

const (
	rounds = 31 // of one image: how often each signer signs, in turn
	heavy  = 11 // of many images
	// maxPhase is longer than any log's interval. A signer waits for the log's next
	// turn, so it begins at a random moment before it.
	maxPhase = 600 * time.Millisecond
)

// BenchmarkSign has signretry and cosign sign on the same servers, in turn: one
// image, and ten images that are in two registries each. It prints a table of the
// medians, and is done once whatever -benchtime says.
func BenchmarkSign(b *testing.B) {
	table := []string{
		"| what | log | registry | signer | median | of it for the log | ratio | registry requests | peak memory |",
		"| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
	}
	kinds := registries()
	run := func(what string, log stack.Log, kind string, rounds, images int, hosts ...string) {
		b.Run(fmt.Sprintf("%s/Rekor v%d/%s", what, log.Version, kind), func(b *testing.B) {
			ours, theirs := compare(b, log, rounds, images, hosts)
			at := fmt.Sprintf("| %s | Rekor v%d | %s |", what, log.Version, kind)
			table = append(table, at+ours.row("signretry", theirs), at+theirs.row("cosign 3.1.3", theirs))
		})
	}
	for _, log := range []stack.Log{e2e.RekorV1, e2e.RekorV2} {
		var hosts []string
		for _, kind := range slices.Sorted(maps.Keys(kinds)) {
			host := kinds[kind](b)
			hosts = append(hosts, host)
			run("one image", log, kind, rounds, 1, host)
		}
		run("ten images in two registries", log, "both", heavy, 10, hosts...)
	}
	b.Logf("medians of %d, and of %d for ten images\n\n%s\n", rounds, heavy, strings.Join(table, "\n"))
}

// sample is what a signer took in all rounds.
type sample struct {
	took, log []time.Duration // in all, and while it waited for the log
	requests  []int           // to registries
	peak      int64           // bytes, the largest
}

func median(d []time.Duration) float64 {
	return slices.Sorted(slices.Values(d))[len(d)/2].Seconds()
}

func (s *sample) row(signer string, beside sample) string {
	requests := fmt.Sprint(slices.Min(s.requests))
	if most := slices.Max(s.requests); most != slices.Min(s.requests) {
		requests += fmt.Sprintf(" to %d", most)
	}
	return fmt.Sprintf(" %s | %.2f s | %.2f s | %.2f | %s | %.0f MiB |", signer, median(s.took), median(s.log),
		median(s.took)/median(beside.took), requests, float64(s.peak)/(1<<20))
}

// compare has both signers sign that many images, each of which is in all the
// registries. The one who begins changes with every round.
func compare(b *testing.B, log stack.Log, rounds, images int, hosts []string) (ours, theirs sample) {
	b.Helper()
	for i := range rounds {
		turns := []func(){
			func() { ours.add(b, log, images, hosts, signretry) },
			func() { theirs.add(b, log, images, hosts, cosign) },
		}
		turns[i%2]()
		turns[(i+1)%2]()
	}
	b.ReportMetric(0, "ns/op") // would be the time of all rounds
	b.ReportMetric(median(ours.took), "signretry-s")
	b.ReportMetric(median(theirs.took), "cosign-s")
	b.ReportMetric(median(ours.took)/median(theirs.took), "ratio")
	return ours, theirs
}

// add signs fresh images.
func (s *sample) add(b *testing.B, log stack.Log, images int, hosts []string, signer func(*testing.B, job, []string) []process.Command) {
	b.Helper()
	j := newJobOn(b, log)
	var gateways []*stack.Gateway
	for _, host := range hosts {
		gateways = append(gateways, gateway(b, "http://"+host))
	}
	var refs []string
	for n := range images {
		image := newImage(b)
		for i, host := range hosts {
			refs = append(refs, gateways[i].Host+"/org/app@"+push(b, image, fmt.Sprintf("%s/org/app:%d", host, n)))
		}
	}
	commands := signer(b, j, refs)
	time.Sleep(rand.N(maxPhase))
	var took, waited time.Duration
	for _, c := range commands {
		m := measure(b, c)
		took += m.Took
		s.peak = max(s.peak, m.Peak)
	}
	requests := 0
	for _, g := range gateways {
		requests += len(g.Requests())
	}
	for _, call := range j.rekor.Requests() {
		waited += call.Took
	}
	s.took, s.log, s.requests = append(s.took, took), append(s.log, waited), append(s.requests, requests)
}

// signretry signs all with one command.
func signretry(b *testing.B, j job, refs []string) []process.Command {
	b.Helper()
	args := []string{"--signing-config", j.config, "--trusted-root", e2e.TrustedRoot}
	return []process.Command{j.command(b, "signretry", append(args, refs...)...)}
}

// cosign signs one after the other.
func cosign(_ *testing.B, j job, refs []string) []process.Command {
	var commands []process.Command
	for _, ref := range refs {
		c := e2e.Cosign3()
		commands = append(commands, c.Command(j.Env(), c.SignArgs(j.config, j.endpoints, ref)...))
	}
	return commands
}
