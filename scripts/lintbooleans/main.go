// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Lintbooleans finds expressions in workflows and composite actions that may
// evaluate to something else where GitHub wants a boolean or a number: "Unexpected
// value ”". GitHub evaluates most of them late, continue-on-error only when its step
// has failed, so that the mistake hides behind the failure it is about.
// docs/workflow.md says where the empty text comes from.
//
//	go run github.com/LerianStudio/pushguard/scripts/lintbooleans@latest [FILE|FOLDER...]
//
// Folders are searched for YAML files; the default is .github. Exit 1 on findings.
package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

func main() {
	found, err := run(os.Args[1:], os.Stdout)
	if err != nil {
		_, _ = os.Stderr.WriteString("lintbooleans: error: " + err.Error() + "\n") // nothing is left to report to
		os.Exit(2)
	}
	if found {
		os.Exit(1)
	}
}

// run writes a line for each finding.
func run(args []string, stdout io.Writer) (found bool, err error) {
	if len(args) == 0 {
		args = []string{".github"}
	}
	files, err := find(args)
	if err != nil {
		return false, err
	}
	if len(files) == 0 {
		return false, fmt.Errorf("no YAML file in %q", args)
	}
	for _, path := range files {
		findings, err := check(path)
		if err != nil {
			return found, err
		}
		for _, f := range findings {
			found = true
			if _, err := fmt.Fprintf(stdout, "%s:%d:%d: %s\n", path, f.line, f.column, f.message); err != nil {
				return found, err
			}
		}
	}
	return found, nil
}

// find returns the files, and the YAML files in the folders.
func find(args []string) (files []string, err error) {
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			files = append(files, arg)
			continue
		}
		err = filepath.WalkDir(arg, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() && slices.Contains([]string{".yml", ".yaml"}, filepath.Ext(path)) {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}
