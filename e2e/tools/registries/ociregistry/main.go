// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Command ociregistry serves CUE's registry (cuelabs.dev/go/oci/ociregistry), which has
// no command of its own, from memory.
package main

import (
	"flag"
	"log"
	"net/http"

	"cuelabs.dev/go/oci/ociregistry/ocimem"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:5000", "where to listen")
	immutable := flag.Bool("immutable", false, "refuse to move or delete a tag")
	flag.Parse()
	backend := ocimem.NewWithConfig(&ocimem.Config{ImmutableTags: *immutable})
	log.Fatal(http.ListenAndServe(*addr, ociserver.New(backend, nil)))
}
