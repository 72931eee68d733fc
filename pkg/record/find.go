// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package record

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Find lists the files that paths stand for. A path is that of a file, there or not; a
// pattern of [filepath.Match], which may match none; or that of a folder, which stands for
// the JSON files in it, however deep. A folder that ends in a slash need not exist.
//
// Folders are for what actions/download-artifact has fetched. Version 8 gives each artifact
// a folder of its name, but not where it fetches only one
// (https://github.com/actions/download-artifact/blob/v8.0.1/src/download-artifact.ts).
func Find(paths []string) ([]string, error) {
	var files []string
	for _, path := range paths {
		info, err := os.Stat(path)
		switch {
		case err == nil && info.IsDir():
			below, err := filesBelow(path)
			if err != nil {
				return nil, err
			}
			files = append(files, below...)
		case err == nil:
			files = append(files, path)
		case errors.Is(err, fs.ErrNotExist) && strings.HasSuffix(path, "/"):
		case strings.ContainsAny(path, "*?["):
			found, err := filepath.Glob(path)
			if err != nil {
				return nil, fmt.Errorf("%q is not a pattern of files: %w", path, err)
			}
			files = append(files, found...)
		default:
			files = append(files, path) // whoever opens it says what is wrong
		}
	}
	return files, nil
}

// filesBelow lists the JSON files in a folder. It does not follow symbolic links: who
// writes an artifact does not choose what is read on this machine.
func filesBelow(folder string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("find records in %s: %w", folder, err)
		}
		if entry.Type().IsRegular() && filepath.Ext(path) == ".json" {
			files = append(files, path)
		}
		return nil
	})
	slices.Sort(files)
	return files, err
}
