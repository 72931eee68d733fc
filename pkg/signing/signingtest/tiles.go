// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signingtest

import (
	"encoding/binary"
	"net/http"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api/layout"
)

// readCheckpoint and readTile serve the log's files (C2SP, tlog-tiles).
func (r *RekorV2) readCheckpoint(w http.ResponseWriter, _ *http.Request) {
	text, err := r.checkpoint(r.head())
	if err != nil {
		refuse(w, http.StatusInternalServerError, "%v", err)
		return
	}
	_, _ = w.Write([]byte(text))
}

func (r *RekorV2) readTile(w http.ResponseWriter, req *http.Request) {
	level, tile := req.PathValue("level"), r.hashTile
	if level == "entries" {
		level, tile = "0", func(_, n uint64, width uint8) ([]byte, bool) { return r.entryTile(n, width) }
	}
	l, n, width, err := layout.ParseTileLevelIndexPartial(level, req.PathValue("index"))
	data, ok := tile(l, n, width)
	if err != nil || !ok {
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
