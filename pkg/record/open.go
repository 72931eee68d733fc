// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// maxSize bounds what is read: 10,000 tags take about 8 MiB.
const maxSize = 64 << 20

// Options say which records [Open] takes.
type Options struct {
	AnyRun    bool // another run's as well; no tag is added to that one
	MustExist bool // none is started
	// Earlier are the files of earlier attempts' records. A record that is started begins
	// as the newest of them that belongs to the run; the others are passed over.
	Earlier []string
}

// UnusableError is a record that is not there, or not a record that this version
// reads. Nothing is wrong with the machine: another file is needed.
type UnusableError struct {
	Path string
	Err  error // wraps [fs.ErrNotExist] when there is no file
}

func (e *UnusableError) Error() string { return fmt.Sprintf("read record %s: %v", e.Path, e.Err) }

// Unwrap returns the cause.
func (e *UnusableError) Unwrap() error { return e.Err }

// OtherRunError is a record that belongs to another run, or to another call inside
// the same run.
type OtherRunError struct {
	Path       string
	Owner, Now Run
}

func (e *OtherRunError) Error() string {
	return fmt.Sprintf("the record %s belongs to %s, this is %s", e.Path, e.Owner, e.Now)
}

// Open opens the record in path for run: it reads it, or starts it where there is
// none. Without a path the record is kept in memory. The error is an *[UnusableError]
// or an *[OtherRunError] when the file is the wrong one; any other means that it
// cannot be read.
func Open(path string, run Run, o Options) (*Record, error) {
	if path == "" {
		return New(run), nil
	}
	r, err := read(path)
	if errors.Is(err, fs.ErrNotExist) && !o.MustExist {
		r = newest(o.Earlier, run)
		r.path, r.opener = path, run
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	r.path, r.opener = path, run
	if r.foreign = !r.Run.Same(run); !r.foreign {
		r.Run.update(run)
		return r, nil
	}
	if !o.AnyRun {
		return nil, &OtherRunError{Path: path, Owner: r.Run, Now: run}
	}
	return r, nil
}

// New returns an empty record of run, in memory.
func New(run Run) *Record {
	return &Record{Schema: Schema, Run: run, Tags: []Tag{}}
}

// newest returns the record of the latest attempt among those in paths that belong to run,
// of two of one attempt the last; an empty one when there is none. What an artifact holds
// may be broken or another's: then it proves less, and stops nothing.
func newest(paths []string, run Run) *Record {
	found := New(run)
	found.Run.Attempt = 0
	for _, path := range paths {
		if r, err := read(path); err == nil && r.Run.Same(run) && r.Run.Attempt >= found.Run.Attempt {
			found = r
		}
	}
	found.Run.update(run)
	return found
}

func read(path string) (*Record, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &UnusableError{Path: path, Err: fs.ErrNotExist}
	}
	if err != nil {
		return nil, fmt.Errorf("read record: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, &UnusableError{Path: path, Err: errors.New("it is a folder")}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read record: %w", err)
	}
	if len(data) > maxSize {
		return nil, &UnusableError{Path: path, Err: fmt.Errorf("it has more than %d bytes, which is more than a record can have", maxSize)}
	}
	r, err := Parse(data)
	if err != nil {
		return nil, &UnusableError{Path: path, Err: err}
	}
	return r, nil
}

// Path is where the record was opened, "" for one in memory.
func (r *Record) Path() string { return r.path }

// Save writes the record to where it was opened, by a temporary file and a rename in
// the same folder: a reader, and a killed process, see the old or the new one, whole.
// One in memory is not written.
func (r *Record) Save() error {
	if r.path == "" {
		return nil
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write record %s: %w", r.path, err)
	}
	if err := replace(r.path, append(data, '\n')); err != nil {
		return fmt.Errorf("write record %s: %w", r.path, err)
	}
	return nil
}

func replace(path string, data []byte) (err error) {
	// A link stays a link: what it names is replaced.
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(data); err != nil {
		return err
	}
	// Later jobs often run as another user; the record holds no secret.
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	// Without it a power cut can leave the new name on an empty file.
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
