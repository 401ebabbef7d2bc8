package natstest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/whence-project/whence/internal/natstest"
)

func connect(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url, nats.Timeout(5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func TestServer(t *testing.T) {
	s := natstest.Start(t, natstest.Options{})
	first := s.URL
	kv, err := connect(t, s.URL).CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "b"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Create(t.Context(), "example.org", []byte("1")); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	s.Restart()
	if s.URL != first {
		t.Errorf("at %s after a restart, was at %s", s.URL, first)
	}
	if kv, err = connect(t, s.URL).KeyValue(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	if v, err := kv.Get(t.Context(), "example.org"); err != nil || string(v.Value()) != "1" {
		t.Errorf("after a restart: %v, %v", v, err)
	}
	s.Kill()
	s.Wipe()
	s.Restart()
	if _, err = connect(t, s.URL).KeyValue(t.Context(), "b"); !errors.Is(err, jetstream.ErrBucketNotFound) {
		t.Errorf("after its data were removed: %v", err)
	}
}
