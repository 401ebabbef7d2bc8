package upstream

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

func message(t testing.TB, m dnsmessage.Message) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func opt(ttl uint32, options ...dnsmessage.Option) dnsmessage.Resource {
	return dnsmessage.Resource{
		Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName("."), Type: dnsmessage.TypeOPT, Class: 4096, TTL: ttl},
		Body:   &dnsmessage.OPTResource{Options: options},
	}
}

var exampleQuestion = dnsmessage.Question{Name: dnsmessage.MustNewName("wWw.example.org."), Type: dnsmessage.TypeMX, Class: dnsmessage.ClassINET}

func TestFrame(t *testing.T) {
	ecs := dnsmessage.Option{Code: optionECS, Data: []byte{0, 1, 24, 0, 192, 0, 2}}
	keepalive := dnsmessage.Option{Code: optionKeepalive, Data: []byte{}}
	for _, tt := range []struct {
		name          string
		header        dnsmessage.Header
		extra         []dnsmessage.Resource
		padded        bool
		edns          bool
		do            bool
		options       []dnsmessage.Option // but for padding
		rd, ad, cdSet bool
	}{
		{name: "bare, in the clear", header: dnsmessage.Header{ID: 7, RecursionDesired: true}, rd: true},
		{name: "bare, over TLS", padded: true, edns: true, options: []dnsmessage.Option{keepalive}},
		{name: "flags", header: dnsmessage.Header{AuthenticData: true, CheckingDisabled: true, Authoritative: true, Truncated: true}, ad: true, cdSet: true},
		{name: "EDNS, in the clear", extra: []dnsmessage.Resource{opt(0)}, edns: true},
		{name: "DO and hops", extra: []dnsmessage.Resource{opt(0x8000|0x40, dnsmessage.Option{Code: 10, Data: make([]byte, 8)}, ecs,
			dnsmessage.Option{Code: optionPadding, Data: make([]byte, 300)}, dnsmessage.Option{Code: 3})},
			padded: true, edns: true, do: true, options: []dnsmessage.Option{ecs, keepalive}},
		{name: "too large a client subnet", extra: []dnsmessage.Resource{opt(0, dnsmessage.Option{Code: optionECS, Data: make([]byte, 100)})}, edns: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := message(t, dnsmessage.Message{Header: tt.header, Questions: []dnsmessage.Question{exampleQuestion}, Additionals: tt.extra})
			frame, end, err := appendFrame(nil, q, tt.padded, tt.padded)
			if err != nil || int(binary.BigEndian.Uint16(frame)) != len(frame)-2 || tt.padded != ((len(frame)-2)%paddedTo == 0) {
				t.Fatalf("%v, %x", err, frame)
			}
			var m dnsmessage.Message
			if err := m.Unpack(frame[2:]); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(frame[2+headerSize:2+end], q[headerSize:end]) || len(m.Questions) != 1 || m.Questions[0] != exampleQuestion {
				t.Errorf("asks %v", m.Questions)
			}
			want := dnsmessage.Header{RecursionDesired: tt.rd, AuthenticData: tt.ad, CheckingDisabled: tt.cdSet}
			if m.Header != want || len(m.Answers)+len(m.Authorities) > 0 || (len(m.Additionals) == 1) != tt.edns {
				t.Errorf("%+v", m)
			}
			if tt.edns {
				checkOPT(t, m.Additionals[0], tt.do, tt.padded, tt.options)
			}
		})
	}
}

func checkOPT(t *testing.T, r dnsmessage.Resource, do, padded bool, want []dnsmessage.Option) {
	t.Helper()
	options := r.Body.(*dnsmessage.OPTResource).Options
	if padded {
		last := options[len(options)-1]
		if last.Code != optionPadding || len(bytes.Trim(last.Data, "\x00")) > 0 {
			t.Errorf("padding %v", last)
		}
		options = options[:len(options)-1]
	}
	if r.Header.Class != udpSize || r.Header.TTL != map[bool]uint32{true: 0x8000}[do] || len(options) != len(want) {
		t.Errorf("%+v", r)
		return
	}
	for i := range want {
		if options[i].Code != want[i].Code || !bytes.Equal(options[i].Data, want[i].Data) {
			t.Errorf("option %v, want %v", options[i], want[i])
		}
	}
}

func TestAnswers(t *testing.T) {
	q := message(t, dnsmessage.Message{Questions: []dnsmessage.Question{exampleQuestion}})
	question := q[headerSize:]
	change := func(at int, to byte) []byte {
		b := bytes.Clone(q)
		b[2] |= 0x80
		b[at] = to
		return b
	}
	for name, tt := range map[string]struct {
		reply []byte
		want  bool
	}{
		"itself":          {q, false},
		"reply":           {change(3, 0), true},
		"another case":    {change(headerSize+1, 'W'), true},
		"another letter":  {change(headerSize+1, 'x'), false},
		"no letter":       {change(headerSize+1, 'w'^0x80), false},
		"another type":    {change(len(q)-3, 1), false},
		"type, case bit":  {change(len(q)-3, 15^0x20), false},
		"two questions":   {change(5, 2), false},
		"no question":     {change(5, 0), false},
		"shorter":         {change(3, 0)[:len(q)-1], false},
		"only the header": {change(3, 0)[:headerSize], false},
	} {
		if got := answers(tt.reply, question); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestKeepaliveOf(t *testing.T) {
	a := dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: exampleQuestion.Name, Class: dnsmessage.ClassINET}, Body: &dnsmessage.AResource{}}
	for name, tt := range map[string]struct {
		extra []dnsmessage.Resource
		want  uint16
		ok    bool
	}{
		"none":         {nil, 0, false},
		"no option":    {[]dnsmessage.Resource{opt(0)}, 0, false},
		"said":         {[]dnsmessage.Resource{a, opt(0, dnsmessage.Option{Code: 3}, dnsmessage.Option{Code: optionKeepalive, Data: []byte{1, 2}}), a}, 0x102, true},
		"wrong length": {[]dnsmessage.Resource{opt(0, dnsmessage.Option{Code: optionKeepalive, Data: []byte{1}})}, 0, false},
	} {
		msg := message(t, dnsmessage.Message{Questions: []dnsmessage.Question{exampleQuestion}, Answers: []dnsmessage.Resource{a, a}, Additionals: tt.extra})
		if got, ok := keepaliveOf(msg); got != tt.want || ok != tt.ok {
			t.Errorf("%s: %d, %v", name, got, ok)
		}
		for n := range msg {
			keepaliveOf(msg[:n])
		}
	}
}

// FuzzFrame: whatever is taken for a query goes out as one with the same question and nothing else of the client's hop.
func FuzzFrame(f *testing.F) {
	f.Add(query("a.example.org", 1), true)
	f.Add(message(f, dnsmessage.Message{Questions: []dnsmessage.Question{exampleQuestion}, Additionals: []dnsmessage.Resource{
		opt(0x8000, dnsmessage.Option{Code: optionECS, Data: []byte{0, 1, 24, 0, 192, 0, 2}})}}), false)
	f.Fuzz(func(t *testing.T, q []byte, padded bool) {
		frame, end, err := appendFrame(nil, q, padded, padded)
		if err != nil {
			return
		}
		var p dnsmessage.Parser
		if _, err := p.Start(frame[2:]); err != nil {
			t.Fatal(err)
		}
		if err := p.SkipAllQuestions(); err != nil { // some names that dnsmessage does not know how to write are names
			t.Fatalf("%x: %v", frame, err)
		}
		if answers, err := p.AllAnswers(); err != nil || len(answers) > 0 {
			t.Fatal(err)
		}
		if authorities, err := p.AllAuthorities(); err != nil || len(authorities) > 0 {
			t.Fatal(err)
		}
		extra, err := p.AllAdditionals()
		if err != nil || len(extra) > 1 || padded && (len(extra) != 1 || (len(frame)-2)%paddedTo != 0) {
			t.Fatalf("%x: %v", frame, err)
		}
		if !bytes.Equal(frame[2+headerSize:2+end], q[headerSize:end]) {
			t.Fatal("another question")
		}
	})
}

// FuzzReplies: whatever a server sends, every query ends, once.
func FuzzReplies(f *testing.F) {
	q := query("a.example.org", 1)
	reply := append(binary.BigEndian.AppendUint16(nil, uint16(len(q))), q...)
	reply[4] |= 0x80
	f.Add(reply)
	f.Add([]byte{0, 3, 1, 2, 3})
	f.Fuzz(func(t *testing.T, stream []byte) {
		synctest.Test(t, func(t *testing.T) {
			s, err := NewPlain(Options{Host: "192.0.2.1", Dial: babbler(stream)})
			if err != nil {
				t.Fatal(err)
			}
			p, err := NewPool(PoolOptions{}, s)
			if err != nil {
				t.Fatal(err)
			}
			fm := &farm{t: t, servers: []*Server{s}, pool: p}
			defer fm.end()
			results := fm.start(q, inTime)
			r := <-results
			if r.err == nil {
				fm.check(q, r)
			}
			if r.took > inTime+25*time.Millisecond {
				t.Error(r)
			}
			synctest.Wait()
			if len(results) > 0 {
				t.Error("told twice")
			}
		})
	})
}

// babbler dials a server that says the same to every query, with the ID that was asked with in its first message.
func babbler(stream []byte) func(context.Context, string, string) (net.Conn, error) {
	var mu sync.Mutex
	n := 0
	return func(context.Context, string, string) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		if n++; n > 3 {
			return nil, errors.New("enough")
		}
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			buf := make([]byte, 1024)
			for {
				k, err := there.Read(buf)
				if err != nil {
					return
				}
				out := bytes.Clone(stream)
				if len(out) >= 4 && k >= 4 {
					copy(out[2:4], buf[2:4])
				}
				if _, err := there.Write(out); err != nil {
					return
				}
			}
		}()
		return here, nil
	}
}
