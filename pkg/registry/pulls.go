// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Pulls is what a registry tells of its limit on pulls (Docker Hub's headers
// ratelimit-limit and ratelimit-remaining, "100;w=21600").
type Pulls struct {
	Registry  string
	Limit     int // 0 when it is not said
	Remaining int
	Window    time.Duration
}

// String is "12 of 100 in 6h0m0s".
func (p Pulls) String() string { return fmt.Sprintf("%d of %d in %s", p.Remaining, p.Limit, p.Window) }

// Few reports whether a build may run into the limit: less than a tenth is left.
func (p Pulls) Few() bool { return p.Remaining*10 < p.Limit }

// Pulls returns the latest pull limit of each registry that has one.
func (c *Client) Pulls() []Pulls {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []Pulls
	for _, p := range c.pulls {
		all = append(all, p)
	}
	return all
}

func (c *Client) note(p Pulls) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if last, ok := c.pulls[p.Registry]; !ok || p.Remaining < last.Remaining {
		c.pulls[p.Registry] = p
	}
}

// pullsLeft reads the limit's headers; false without them or when they make no sense.
func pullsLeft(registry string, h http.Header) (Pulls, bool) {
	remaining, window, ok := quota(h.Get("Ratelimit-Remaining"))
	if !ok {
		return Pulls{}, false
	}
	limit, _, _ := quota(h.Get("Ratelimit-Limit"))
	return Pulls{Registry: registry, Limit: limit, Remaining: remaining, Window: window}, true
}

// quota reads "100;w=21600": a number, and seconds.
func quota(s string) (n int, window time.Duration, ok bool) {
	number, rest, _ := strings.Cut(s, ";")
	n64, err := strconv.ParseUint(strings.TrimSpace(number), 10, 31)
	if err != nil {
		return 0, 0, false
	}
	if seconds, found := strings.CutPrefix(strings.TrimSpace(rest), "w="); found {
		if w, err := strconv.ParseUint(seconds, 10, 31); err == nil {
			window = time.Duration(w) * time.Second
		}
	}
	return int(n64), window, true
}
