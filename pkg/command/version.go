// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/mod/module"
)

// Build says which build a command is. What Go has not noted is empty: "go install"
// of a release knows its version alone, a build outside of a clone nothing.
type Build struct {
	Schema   string `json:"schema"`
	Name     string `json:"name"`
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Date     string `json:"date"`     // of the commit
	Modified bool   `json:"modified"` // the source differed from the commit
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// String is the line that --version prints.
func (b Build) String() string {
	commit := cmp.Or(b.Commit, "unknown")
	if b.Modified {
		commit += "+dirty"
	}
	return fmt.Sprintf("%s %s (commit %s, date %s, %s, %s)", b.Name, b.Version, commit, cmp.Or(b.Date, "unknown"), b.Go, b.Platform)
}

// newBuild reads the build information that Go puts into each binary.
func newBuild(tool string, info *debug.BuildInfo) Build {
	b := Build{
		Schema: "pushguard.version/v1", Name: tool, Version: "(devel)",
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if info == nil {
		return b
	}
	b.Version = cmp.Or(info.Main.Version, b.Version)
	// "go install …@main" has no clone; the version tells both.
	if module.IsPseudoVersion(b.Version) {
		b.Commit, _ = module.PseudoVersionRev(b.Version)
		if at, err := module.PseudoVersionTime(b.Version); err == nil {
			b.Date = at.Format(time.RFC3339)
		}
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Date = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// Version says which build this is, in one line.
func Version(tool string) string { return thisBuild(tool).String() }

func thisBuild(tool string) Build {
	info, _ := debug.ReadBuildInfo()
	return newBuild(tool, info)
}

// version answers --version.
func (e *Env) version(asJSON bool) error {
	if asJSON {
		return e.AnswerJSON(thisBuild(e.Name))
	}
	return e.Answer(Version(e.Name))
}
