// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package record

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// fields are the members of a JSON object that this version does not know. A
// newer version's work must survive an older one's.
type fields map[string]json.RawMessage

// decode fills known from data and returns the members that it has no field for.
func decode(data []byte, known any) (fields, error) {
	if err := json.Unmarshal(data, known); err != nil {
		return nil, err
	}
	var all fields
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, err
	}
	for field := range reflect.TypeOf(known).Elem().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		delete(all, name)
	}
	if len(all) == 0 {
		return nil, nil //nolint:nilnil // no unknown members
	}
	return all, nil
}

// encode writes known with the unknown members behind it, in the order of their names.
func encode(known any, unknown fields) ([]byte, error) {
	data, err := json.Marshal(known)
	if err != nil || len(unknown) == 0 {
		return data, err
	}
	b := bytes.NewBuffer(bytes.TrimSuffix(data, []byte("}")))
	for _, name := range slices.Sorted(maps.Keys(unknown)) {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(unknown[name])
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// The plain types have the fields but not the methods, which ends the recursion.
type (
	plainRecord    Record
	plainRun       Run
	plainTag       Tag
	plainState     State
	plainImmutable Immutable
	plainPublished Published
	plainSignature Signature
	plainUnsigned  Unsigned
	plainLogEntry  LogEntry
	plainCleanup   Cleanup
)

func (r *Record) UnmarshalJSON(data []byte) (err error) {
	r.unknown, err = decode(data, (*plainRecord)(r))
	return err
}

func (r *Run) UnmarshalJSON(data []byte) (err error) {
	r.unknown, err = decode(data, (*plainRun)(r))
	return err
}

func (t *Tag) UnmarshalJSON(data []byte) (err error) {
	t.unknown, err = decode(data, (*plainTag)(t))
	return err
}

func (s *State) UnmarshalJSON(data []byte) (err error) {
	s.unknown, err = decode(data, (*plainState)(s))
	return err
}

func (i *Immutable) UnmarshalJSON(data []byte) (err error) {
	i.unknown, err = decode(data, (*plainImmutable)(i))
	return err
}

func (p *Published) UnmarshalJSON(data []byte) (err error) {
	p.unknown, err = decode(data, (*plainPublished)(p))
	return err
}

func (s *Signature) UnmarshalJSON(data []byte) (err error) {
	s.unknown, err = decode(data, (*plainSignature)(s))
	return err
}

func (u *Unsigned) UnmarshalJSON(data []byte) (err error) {
	u.unknown, err = decode(data, (*plainUnsigned)(u))
	return err
}

func (l *LogEntry) UnmarshalJSON(data []byte) (err error) {
	l.unknown, err = decode(data, (*plainLogEntry)(l))
	return err
}

func (c *Cleanup) UnmarshalJSON(data []byte) (err error) {
	c.unknown, err = decode(data, (*plainCleanup)(c))
	return err
}

func (r Record) MarshalJSON() ([]byte, error)    { return encode(plainRecord(r), r.unknown) }
func (r Run) MarshalJSON() ([]byte, error)       { return encode(plainRun(r), r.unknown) }
func (t Tag) MarshalJSON() ([]byte, error)       { return encode(plainTag(t), t.unknown) }
func (s State) MarshalJSON() ([]byte, error)     { return encode(plainState(s), s.unknown) }
func (i Immutable) MarshalJSON() ([]byte, error) { return encode(plainImmutable(i), i.unknown) }
func (p Published) MarshalJSON() ([]byte, error) { return encode(plainPublished(p), p.unknown) }
func (s Signature) MarshalJSON() ([]byte, error) { return encode(plainSignature(s), s.unknown) }
func (u Unsigned) MarshalJSON() ([]byte, error)  { return encode(plainUnsigned(u), u.unknown) }
func (l LogEntry) MarshalJSON() ([]byte, error)  { return encode(plainLogEntry(l), l.unknown) }
func (c Cleanup) MarshalJSON() ([]byte, error)   { return encode(plainCleanup(c), c.unknown) }
