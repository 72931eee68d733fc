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

// decode fills known from data, and unknown with the members that known has no field for.
func decode(data []byte, known any, unknown *fields) error {
	*unknown = nil
	if err := json.Unmarshal(data, known); err != nil {
		return err
	}
	if err := json.Unmarshal(data, unknown); err != nil {
		return err
	}
	for field := range reflect.TypeOf(known).Elem().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		delete(*unknown, name)
	}
	return nil
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
	plainDue       Due
	plainPublished Published
	plainPushed    Pushed
	plainSignature Signature
	plainUnsigned  Unsigned
	plainLogEntry  LogEntry
	plainCleanup   Cleanup
)

func (r *Record) UnmarshalJSON(data []byte) error { return decode(data, (*plainRecord)(r), &r.unknown) }

func (r *Run) UnmarshalJSON(data []byte) error { return decode(data, (*plainRun)(r), &r.unknown) }

func (t *Tag) UnmarshalJSON(data []byte) error { return decode(data, (*plainTag)(t), &t.unknown) }

func (s *State) UnmarshalJSON(data []byte) error { return decode(data, (*plainState)(s), &s.unknown) }

func (i *Immutable) UnmarshalJSON(data []byte) error {
	return decode(data, (*plainImmutable)(i), &i.unknown)
}

func (p *Pushed) UnmarshalJSON(data []byte) error { return decode(data, (*plainPushed)(p), &p.unknown) }

func (d *Due) UnmarshalJSON(data []byte) error { return decode(data, (*plainDue)(d), &d.unknown) }

func (p *Published) UnmarshalJSON(data []byte) error {
	return decode(data, (*plainPublished)(p), &p.unknown)
}

func (s *Signature) UnmarshalJSON(data []byte) error {
	return decode(data, (*plainSignature)(s), &s.unknown)
}

func (u *Unsigned) UnmarshalJSON(data []byte) error {
	return decode(data, (*plainUnsigned)(u), &u.unknown)
}

func (l *LogEntry) UnmarshalJSON(data []byte) error {
	return decode(data, (*plainLogEntry)(l), &l.unknown)
}

func (c *Cleanup) UnmarshalJSON(data []byte) error {
	return decode(data, (*plainCleanup)(c), &c.unknown)
}

func (r Record) MarshalJSON() ([]byte, error)    { return encode(plainRecord(r), r.unknown) }
func (r Run) MarshalJSON() ([]byte, error)       { return encode(plainRun(r), r.unknown) }
func (t Tag) MarshalJSON() ([]byte, error)       { return encode(plainTag(t), t.unknown) }
func (s State) MarshalJSON() ([]byte, error)     { return encode(plainState(s), s.unknown) }
func (i Immutable) MarshalJSON() ([]byte, error) { return encode(plainImmutable(i), i.unknown) }
func (p Pushed) MarshalJSON() ([]byte, error)    { return encode(plainPushed(p), p.unknown) }
func (d Due) MarshalJSON() ([]byte, error)       { return encode(plainDue(d), d.unknown) }
func (p Published) MarshalJSON() ([]byte, error) { return encode(plainPublished(p), p.unknown) }
func (s Signature) MarshalJSON() ([]byte, error) { return encode(plainSignature(s), s.unknown) }
func (u Unsigned) MarshalJSON() ([]byte, error)  { return encode(plainUnsigned(u), u.unknown) }
func (l LogEntry) MarshalJSON() ([]byte, error)  { return encode(plainLogEntry(l), l.unknown) }
func (c Cleanup) MarshalJSON() ([]byte, error)   { return encode(plainCleanup(c), c.unknown) }
