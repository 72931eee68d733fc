// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/LerianStudio/pushguard/e2e/process"
	"github.com/LerianStudio/pushguard/e2e/stack"
)

// patience is how long the gateway of the need waits for Rekor.
const patience = 2 * time.Second

// The failure that pushguard was made for, with nothing faked: Rekor v1 takes the
// entry, but Trillian's signer integrates only every 20 seconds, and a gateway
// gives up on the POST after two. The next POST is answered by 409, and the entry
// that it names by 404, until the log has merged it.
func TestNeed(t *testing.T) {
	t.Parallel()
	log, err := e2e.StartSlowRekor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	host := start(t, e2e.Olareg)
	// Whatever follows an integration at once has nearly the whole interval before it.
	first := newNeedy(t, log, host)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { first.attempt(t, signers[0]) })
	for end := time.Now().Add(time.Minute); treeSize(t, log) == 0; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the log has integrated nothing for a minute")
		}
	}

	var jobs []needy
	var commands []process.Command
	for _, signer := range signers {
		n := newNeedy(t, log, host)
		n.rekor.Break(stack.Fault{Method: http.MethodPost, Times: 1000, Effect: stack.GivesUp(patience)})
		jobs, commands = append(jobs, n), append(commands, n.signing(t, signer))
	}
	results := atOnce(t, commands...)

	mustAccept(t, e2e.BundleJudges(), jobs[0].Identity, jobs[0].direct)
	for i, want := range []string{
		"the log has the entry and its answer was lost",
		"[POST /api/v1/log/entries][409] createLogEntryConflict",
		"[GET /api/v1/log/entries/{entryUUID}][404] getLogEntryByUuidNotFound",
	} {
		res := results[i]
		if (res.Code == 0) != (i == 0) || !strings.Contains(res.Stderr, want) {
			t.Errorf("%s: exit %d, want %q in stderr and only signretry to sign", signers[i], res.Code, want)
		}
		if got := jobs[i].certificates(); got != 1 {
			t.Errorf("%s got %d certificates, want 1", signers[i], got)
		}
	}
	// All entries of this interval were integrated together: one of each signer,
	// also of those that gave up on it.
	if entries := treeSize(t, log) - 1; entries != int64(len(signers)) {
		t.Errorf("the log holds %d entries more, want one of each of %d signers", entries, len(signers))
	}
	page := faultsPage(t)
	for i, signer := range page.signers() {
		page.note(t, tableNeed, "Rekor v1 | gateway gives up after 2 s, log merges every 20 s", signer, outcome(results[i], 1, 1))
	}
}

// atOnce runs all commands at the same time.
func atOnce(t *testing.T, commands ...process.Command) []process.Result {
	t.Helper()
	results, errs := make([]process.Result, len(commands)), make([]error, len(commands))
	var wg sync.WaitGroup
	for i, c := range commands {
		wg.Go(func() { results[i], errs[i] = process.Run(t.Context(), c, nil) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: exit %d after %.1f s\n%s", commands[i].Name, results[i].Code, results[i].Took.Seconds(), results[i].Stderr)
	}
	return results
}

// treeSize is how many entries the log has integrated.
func treeSize(t *testing.T, log stack.Log) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, log.URL+"/api/v1/log", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		TreeSize int64 `json:"treeSize"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return answer.TreeSize
}
