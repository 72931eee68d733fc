// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Mutants proves the simulator: it breaks rules of the packages, one at a time, and wants
// the simulator to find each. The files of the repository stay as they are: the compiler
// is shown a changed copy (go build -overlay). With -write the table in docs/simulation.md
// is what it has found.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

var (
	seeds = flag.Int("seeds", 3000, "give each mutant so many seeds")
	only  = flag.String("only", "", "run the mutants whose description contains this")
	write = flag.Bool("write", false, "write the table in docs/simulation.md")
)

func main() {
	flag.Parse()
	dir, err := os.MkdirTemp("", "pushguard-mutants-")
	if err == nil {
		err = run(context.Background(), dir)
		_ = os.RemoveAll(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string) error {
	var table strings.Builder
	table.WriteString("| broken on purpose | in | found by seed | after | as |\n| --- | --- | --- | --- | --- |\n")
	survived, ran := 0, 0
	for _, m := range mutants {
		if !strings.Contains(m.breaks, *only) {
			continue
		}
		ran++
		f, err := m.run(ctx, dir)
		if err != nil {
			return fmt.Errorf("%s: %w", m.breaks, err)
		}
		if f.seed == "" && m.test != "" {
			if f, err = m.guarded(ctx, dir); err != nil {
				return fmt.Errorf("%s: %w", m.breaks, err)
			}
		}
		if f.seed == "" {
			survived++
			f = found{seed: "**none**", after: "–", as: fmt.Sprintf("survives %d seeds", *seeds)}
		}
		line := fmt.Sprintf("| %s | %#q | %s | %s | %s |\n", m.breaks, filepath.Base(m.file), f.seed, f.after, f.as)
		table.WriteString(line)
		fmt.Print(line)
	}
	fmt.Printf("%d of %d mutants are found\n", ran-survived, ran)
	if *write && *only == "" {
		if err := replace("docs/simulation.md", table.String()); err != nil {
			return err
		}
	}
	if survived > 0 {
		return fmt.Errorf("%d mutants survive", survived)
	}
	return nil
}

// found is how the simulator found a mutant.
type found struct{ seed, after, as string }

var finding = regexp.MustCompile(`seed (\d+) after (\S+): (.*)`)

// run builds the simulator with the mutant, and runs it until it finds it.
func (m mutant) run(ctx context.Context, dir string) (found, error) {
	text, err := os.ReadFile(m.file)
	if err != nil {
		return found{}, err
	}
	if !strings.Contains(string(text), m.from) {
		return found{}, fmt.Errorf("%s does not contain %q any more", m.file, m.from)
	}
	changed := filepath.Join(dir, "changed.go")
	absolute, err := filepath.Abs(m.file)
	if err != nil {
		return found{}, err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{absolute: changed}})
	if err != nil {
		return found{}, err
	}
	err = errors.Join(os.WriteFile(changed, []byte(strings.Replace(string(text), m.from, m.to, 1)), 0o600),
		os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
	if err != nil {
		return found{}, err
	}
	binary := filepath.Join(dir, "simulation.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, "./pkg/simulation")
	if out, err := build.CombinedOutput(); err != nil {
		return found{}, fmt.Errorf("it does not build: %w\n%s", err, out)
	}
	test := exec.CommandContext(ctx, binary, "-test.run", "^TestSimulation$", "-test.timeout", "10m", fmt.Sprintf("-seeds=%d", *seeds))
	test.Dir = "pkg/simulation" // its seeds are there
	out, err := test.CombinedOutput()
	if err == nil {
		return found{}, nil
	}
	hit := finding.FindStringSubmatch(string(out))
	if hit == nil {
		return found{"–", "–", "it ends by " + lastWords(string(out))}, nil
	}
	after, _ := time.ParseDuration(hit[2])
	return found{hit[1], after.Round(100 * time.Millisecond).String(), cell(hit[3])}, nil
}

// guarded runs the mutant's own test, on the files that run has written.
func (m mutant) guarded(ctx context.Context, dir string) (found, error) {
	folder, name, _ := strings.Cut(m.test, " ")
	begin := time.Now()
	test := exec.CommandContext(ctx, "go", "test", "-count=1", "-overlay", filepath.Join(dir, "overlay.json"), "-run", "^"+name+"$", folder)
	out, err := test.CombinedOutput()
	switch {
	case err == nil:
		return found{}, nil
	case !strings.Contains(string(out), "--- FAIL: "+name):
		return found{}, fmt.Errorf("%s did not run: %w\n%s", m.test, err, out)
	}
	return found{"none", time.Since(begin).Round(100 * time.Millisecond).String(), fmt.Sprintf("not in %d seeds; %#q finds it", *seeds, name)}, nil
}

// lastWords is why a run ended that no judge has ended.
func lastWords(out string) string {
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return cell(strings.TrimSpace(line))
		}
	}
	return cell(strings.TrimSpace(out))
}

// cell is a finding without its details, in a cell of a table.
func cell(text string) string {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "|", "/"), "<", "‹")
	if len([]rune(text)) > 110 {
		text = string([]rune(text)[:109]) + "…"
	}
	return "`" + strings.ReplaceAll(text, "`", "'") + "`"
}

// replace puts the table between its marks in a page.
func replace(page, table string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	const begin, end = "<!-- mutants: written by make simulate-mutants -->\n", "<!-- end of mutants -->"
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no marks for the table", page)
	}
	return os.WriteFile(page, []byte(before+begin+table+end+after), 0o600)
}
