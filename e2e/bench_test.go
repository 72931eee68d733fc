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

// setting is one row of the comparison, for both signers.
type setting struct {
	what     string
	log      stack.Log
	registry string
	hosts    []string // each has all the images
	images   int
	rounds   int
	delay    time.Duration // of every request to a registry and to Sigstore
}

// BenchmarkSign has signretry and cosign sign on the same servers, in turn: one
// image, near and far, and ten images that are in two registries each. It prints a
// table of the medians, and is done once whatever -benchtime says.
func BenchmarkSign(b *testing.B) {
	table := []string{
		"| what | log | registry | signer | median | for the log | ratio | CPU | registry requests | peak memory |",
		"| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
	}
	kinds := registries()
	for _, log := range []stack.Log{e2e.RekorV1, e2e.RekorV2} {
		var settings []setting
		var hosts []string
		for _, kind := range slices.Sorted(maps.Keys(kinds)) {
			host := kinds[kind](b)
			hosts = append(hosts, host)
			settings = append(settings,
				setting{"one image", log, kind, []string{host}, 1, rounds, 0},
				setting{"one image, every request 20 ms longer", log, kind, []string{host}, 1, heavy, 20 * time.Millisecond})
		}
		settings = append(settings, setting{"ten images in two registries", log, "both", hosts, 10, heavy, 0})
		for _, s := range settings {
			b.Run(fmt.Sprintf("%s/Rekor v%d/%s", s.what, log.Version, s.registry), func(b *testing.B) {
				ours, theirs := s.compare(b)
				at := fmt.Sprintf("| %s | Rekor v%d | %s |", s.what, log.Version, s.registry)
				table = append(table, at+ours.row("signretry", theirs), at+theirs.row("cosign "+e2e.Cosign3().Version, theirs))
			})
		}
	}
	b.Logf("medians of %d for one image nearby, of %d otherwise\n\n%s\n", rounds, heavy, strings.Join(table, "\n"))
}

// BenchmarkRoundTrips counts the requests that wait for each other while one image is
// signed: the time that it takes longer when every request does, by how much. That does
// not depend on the machine.
func BenchmarkRoundTrips(b *testing.B) {
	const delay, times = 300 * time.Millisecond, 5
	kinds := registries()
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		b.Run(kind, func(b *testing.B) {
			host := kinds[kind](b)
			for name, signer := range map[string]func(*testing.B, job, []string) []process.Command{"signretry": signretry, "cosign": cosign} {
				var near, far sample
				for range times {
					setting{log: e2e.RekorV1, hosts: []string{host}, images: 1}.sign(b, &near, signer)
					setting{log: e2e.RekorV1, hosts: []string{host}, images: 1, delay: delay}.sign(b, &far, signer)
				}
				b.ReportMetric((median(far.took)-median(near.took))/delay.Seconds(), name+"-trips")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkManyImages signs 200 images with one command.
func BenchmarkManyImages(b *testing.B) {
	kinds := registries()
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		b.Run(kind, func(b *testing.B) {
			var s sample
			setting{log: e2e.RekorV1, hosts: []string{kinds[kind](b)}, images: 200}.sign(b, &s, signretry)
			if s.posts != 200 || s.peak > 40<<20 {
				b.Errorf("%d log entries, %d bytes of memory; want 200, at most 40 MiB", s.posts, s.peak)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(s.took[0].Seconds(), "s")
			b.ReportMetric(float64(s.peak)/(1<<20), "MiB")
			b.ReportMetric(float64(s.requests[0])/200, "registry-requests/image")
		})
	}
}

// sample is what a signer took in all rounds.
type sample struct {
	took, log, cpu []time.Duration // log: what it took to answer
	posts          int             // that it answered in a round
	requests       []int           // to registries
	peak           int64           // bytes, the largest
}

func median(d []time.Duration) float64 {
	return slices.Sorted(slices.Values(d))[len(d)/2].Seconds()
}

func (s *sample) row(signer string, beside sample) string {
	requests := fmt.Sprint(slices.Min(s.requests))
	if most := slices.Max(s.requests); most != slices.Min(s.requests) {
		requests += fmt.Sprintf(" to %d", most)
	}
	log := "–" // several requests at once: their sum says nothing
	if s.posts == 1 {
		log = fmt.Sprintf("%.2f s", median(s.log))
	}
	return fmt.Sprintf(" %s | %.2f s | %s | %.2f | %.2f s | %s | %.0f MiB |", signer, median(s.took), log,
		median(s.took)/median(beside.took), median(s.cpu), requests, float64(s.peak)/(1<<20))
}

// compare has both signers sign in turn. The one who begins changes with every round.
func (s setting) compare(b *testing.B) (ours, theirs sample) {
	b.Helper()
	for i := range s.rounds {
		turns := []func(){
			func() { s.sign(b, &ours, signretry) },
			func() { s.sign(b, &theirs, cosign) },
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

// sign has fresh images signed and adds what it took.
func (s setting) sign(b *testing.B, to *sample, signer func(*testing.B, job, []string) []process.Command) {
	b.Helper()
	j := newJobOn(b, s.log)
	var registries []*stack.Gateway
	for _, host := range s.hosts {
		registries = append(registries, gateway(b, "http://"+host))
	}
	var refs []string
	for n := range s.images {
		image := newImage(b)
		for i, host := range s.hosts {
			refs = append(refs, registries[i].Host+"/org/app@"+push(b, image, fmt.Sprintf("%s/org/app:%d", host, n)))
		}
	}
	for _, g := range append([]*stack.Gateway{j.fulcio, j.tsa, j.rekor}, registries...) {
		g.Delay(s.delay)
	}
	commands := signer(b, j, refs)
	time.Sleep(rand.N(maxPhase))
	var took, cpu, waited time.Duration
	for _, c := range commands {
		m := measure(b, c)
		took, cpu = took+m.Took, cpu+m.CPU
		to.peak = max(to.peak, m.Peak)
	}
	requests := 0
	for _, g := range registries {
		requests += len(g.Requests())
	}
	for _, call := range j.rekor.Requests() {
		waited += call.Took
	}
	to.posts = j.entries()
	to.took, to.cpu, to.log = append(to.took, took), append(to.cpu, cpu), append(to.log, waited)
	to.requests = append(to.requests, requests)
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
