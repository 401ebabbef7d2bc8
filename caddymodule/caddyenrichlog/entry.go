package caddyenrichlog

import (
	"strings"

	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"
)

// node is a place in entries: what is enriched there, and in the objects there.
type node struct {
	children map[string]*node
	leaf     *leaf // nil where nothing is added
}

// tree is the root of the places that paths name.
func tree(paths []string, leafOf func(key string) *leaf) *node {
	root := new(node)
	for _, path := range paths {
		n, key := root, ""
		for key = range strings.SplitSeq(path, ">") {
			if n.children == nil {
				n.children = make(map[string]*node)
			}
			if n.children[key] == nil {
				n.children[key] = new(node)
			}
			n = n.children[key]
		}
		n.leaf = leafOf(key)
	}
	return root
}

// child is the place under key; nil has none.
func (n *node) child(key string) *node {
	if n == nil {
		return nil
	}
	return n.children[key]
}

// entry is an entry that is being written, by the encoder that it wraps. Where it is in the entry it knows itself: encoders between
// the two may write the fields of an object to either.
type entry struct {
	zapcore.Encoder
	enricher *enricher
	at       *node
}

// Clone is an entry with the same fields, for more.
func (e *entry) Clone() zapcore.Encoder { return &entry{e.Encoder.Clone(), e.enricher, e.at} }

// EncodeEntry writes the entry with fields.
func (e *entry) EncodeEntry(ent zapcore.Entry, fields []zapcore.Field) (*buffer.Buffer, error) {
	if !e.concerned(fields) {
		return e.Encoder.EncodeEntry(ent, fields)
	}
	c := &entry{e.Encoder.Clone(), e.enricher, e.at}
	for i := range fields {
		fields[i].AddTo(c)
	}
	return c.Encoder.EncodeEntry(ent, nil)
}

// concerned reports whether something may be to add to fields.
func (e *entry) concerned(fields []zapcore.Field) bool {
	for i := range fields {
		switch fields[i].Type {
		case zapcore.NamespaceType, zapcore.InlineMarshalerType:
			return true
		}
		if e.at.child(fields[i].Key) != nil {
			return true
		}
	}
	return false
}

// AddString adds a field, and what is known of it.
func (e *entry) AddString(key, value string) { e.addString(e.Encoder, key, value) }

// AddByteString adds a field, and what is known of it.
func (e *entry) AddByteString(key string, value []byte) { e.addByteString(e.Encoder, key, value) }

// AddObject adds an object.
func (e *entry) AddObject(key string, m zapcore.ObjectMarshaler) error {
	return e.addObject(e.Encoder, key, m)
}

// AddArray adds an array, in which nothing is enriched.
func (e *entry) AddArray(key string, m zapcore.ArrayMarshaler) error {
	return e.addArray(e.Encoder, key, m)
}

// OpenNamespace has what follows be fields of an object.
func (e *entry) OpenNamespace(key string) {
	e.at = e.at.child(key)
	e.Encoder.OpenNamespace(key)
}

func (e *entry) addString(to zapcore.ObjectEncoder, key, value string) {
	to.AddString(key, value)
	if n := e.at.child(key); n != nil && n.leaf != nil {
		e.enricher.add(to, n.leaf, value)
	}
}

func (e *entry) addByteString(to zapcore.ObjectEncoder, key string, value []byte) {
	to.AddByteString(key, value)
	if n := e.at.child(key); n != nil && n.leaf != nil {
		e.enricher.add(to, n.leaf, string(value))
	}
}

func (e *entry) addObject(to zapcore.ObjectEncoder, key string, m zapcore.ObjectMarshaler) error {
	at := e.at
	defer func() { e.at = at }()
	if e.at = at.child(key); e.at != nil {
		m = within{e, m}
	}
	return to.AddObject(key, m)
}

func (e *entry) addArray(to zapcore.ObjectEncoder, key string, m zapcore.ArrayMarshaler) error {
	at := e.at
	defer func() { e.at = at }()
	e.at = nil
	return to.AddArray(key, m)
}

// within has the fields of an object come by.
type within struct {
	entry *entry
	m     zapcore.ObjectMarshaler
}

// MarshalLogObject writes the object.
func (w within) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	return w.m.MarshalLogObject(&object{enc, w.entry})
}

// object is an object of an entry that is being written.
type object struct {
	zapcore.ObjectEncoder
	entry *entry
}

func (o *object) AddString(key, value string) { o.entry.addString(o.ObjectEncoder, key, value) }

func (o *object) AddByteString(key string, value []byte) {
	o.entry.addByteString(o.ObjectEncoder, key, value)
}

func (o *object) AddObject(key string, m zapcore.ObjectMarshaler) error {
	return o.entry.addObject(o.ObjectEncoder, key, m)
}

func (o *object) AddArray(key string, m zapcore.ArrayMarshaler) error {
	return o.entry.addArray(o.ObjectEncoder, key, m)
}

func (o *object) OpenNamespace(key string) {
	o.entry.at = o.entry.at.child(key)
	o.ObjectEncoder.OpenNamespace(key)
}
