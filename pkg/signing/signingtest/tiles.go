// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signingtest

import (
	"encoding/binary"
	"net/http"
	"strings"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api/layout"
)

// read serves the log's files: its checkpoint and its tiles (C2SP, tlog-tiles).
func (r *RekorV2) read(w http.ResponseWriter, req *http.Request) {
	path := req.PathValue("path")
	if path == layout.CheckpointPath {
		text, err := r.checkpoint(r.head())
		if err != nil {
			refuse(w, http.StatusInternalServerError, "%v", err)
			return
		}
		_, _ = w.Write([]byte(text))
		return
	}
	level, index, ok := strings.Cut(strings.TrimPrefix(path, "tile/"), "/")
	if !ok || !strings.HasPrefix(path, "tile/") {
		refuse(w, http.StatusNotFound, "no such file")
		return
	}
	var data []byte
	if level == "entries" {
		_, n, width, err := layout.ParseTileLevelIndexPartial("0", index)
		data, ok = r.entryTile(n, width)
		ok = ok && err == nil
	} else {
		l, n, width, err := layout.ParseTileLevelIndexPartial(level, index)
		data, ok = r.hashTile(l, n, width)
		ok = ok && err == nil
	}
	if !ok {
		refuse(w, http.StatusNotFound, "no such tile")
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(data)
}

func (l *tree) head() (size uint64, hash []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.merkle.Size(), l.merkle.Hash()
}

// span is the part of a list that a tile holds; width 0 is a whole tile.
func span(n uint64, width uint8, total uint64) (from, to uint64, ok bool) {
	from, to = n*layout.TileWidth, (n+1)*layout.TileWidth
	if width > 0 {
		to = from + uint64(width)
	}
	return from, to, to <= total
}

func (l *tree) entryTile(n uint64, width uint8) (data []byte, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	from, to, ok := span(n, width, uint64(len(l.bodies)))
	if !ok {
		return nil, false
	}
	for _, body := range l.bodies[from:to] {
		data = binary.BigEndian.AppendUint16(data, uint16(len(body)))
		data = append(data, body...)
	}
	return data, true
}

func (l *tree) hashTile(level, n uint64, width uint8) (data []byte, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	height := level * layout.TileHeight
	from, to, ok := span(n, width, uint64(len(l.bodies))>>height)
	if !ok {
		return nil, false
	}
	for i := from; i < to; i++ {
		data = append(data, l.node(l.bodies[i<<height:(i+1)<<height])...)
	}
	return data, true
}

// node is the root of a perfect subtree.
func (l *tree) node(bodies [][]byte) []byte {
	if len(bodies) == 1 {
		return rfc6962.DefaultHasher.HashLeaf(bodies[0])
	}
	half := len(bodies) / 2
	return rfc6962.DefaultHasher.HashChildren(l.node(bodies[:half]), l.node(bodies[half:]))
}
