package workers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/whence-project/whence/enrich/registration"
)

// The list of work is a stream from which a job is gone when it is done. A subject is a name, so that none is in it twice; before that
// stands its operator, who has a consumer of his own: a worker takes from it what it has turns for, and no operator is in
// another's way.

// The types of what is told of the list.
type (
	Job      = registration.Job
	Progress = registration.Work
)

// What the list goes by.
const (
	mostJobs   = 20_000_000
	batch      = 512 // jobs that are sent before their answers are waited for
	runTTL     = 30 * 24 * time.Hour
	idleJobs   = time.Hour // after which an operator's consumer that has nothing to do is forgotten
	jsAnswer   = 10 * time.Second
	perSubject = 10077 // NATS's error code: there is a message with this subject already
)

// list is the stream and what is noted beside it.
type list struct {
	js     jetstream.JetStream
	stream jetstream.Stream
	notes  jetstream.KeyValue
}

// run is what is noted of the work since the list was empty.
type run struct {
	ID      string    `json:"id"`
	Started time.Time `json:"started"`
	Stopped time.Time `json:"stopped,omitzero"` // the last time that names were taken off the list
	Dropped int       `json:"dropped,omitempty"`
}

// tally is what one worker has done of a run.
type tally struct {
	Run    string `json:"run"`
	Done   int    `json:"done"`
	Failed int    `json:"failed"`
}

// list finds the stream, or makes it.
func (n *Node) list(ctx context.Context) (l list, err error) {
	nc, err := n.conn()
	if err != nil {
		return l, err
	}
	if l.js, err = jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(2*batch)); err != nil {
		return l, err
	}
	name := n.opt.Prefix + "_jobs"
	if l.stream, err = l.js.Stream(ctx, name); errors.Is(err, jetstream.ErrStreamNotFound) {
		l.stream, err = l.js.CreateStream(ctx, jetstream.StreamConfig{
			Name: name, Description: "Whence: names to look up", Subjects: []string{n.subject("jobs.*.*")},
			Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage, Replicas: n.opt.Replicas,
			Discard: jetstream.DiscardNew, DiscardNewPerSubject: true, MaxMsgsPerSubject: 1, MaxMsgs: mostJobs,
		})
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			l.stream, err = l.js.Stream(ctx, name)
		}
	}
	if err != nil {
		return l, err
	}
	l.notes, err = n.bucket(ctx, l.js, jetstream.KeyValueConfig{
		Bucket: n.opt.Prefix + "_work", Description: "Whence: how far the list of names has come", TTL: runTTL, Storage: jetstream.FileStorage,
	})
	return l, err
}

// encode is a word as one token of a subject.
func encode(word string) string {
	if word == "" {
		return "-"
	}
	return token.EncodeToString([]byte(word))
}

func decode(t string) (string, error) {
	if t == "-" {
		return "", nil
	}
	b, err := token.DecodeString(t)
	return string(b), err
}

// Enqueue puts jobs on the list, for all workers. known is how many were on it already. What was put on it before an error stays.
func (n *Node) Enqueue(ctx context.Context, jobs iter.Seq[Job]) (added, known int, err error) {
	l, err := n.list(ctx)
	if err != nil {
		return 0, 0, err
	}
	id, err := n.begin(ctx, l)
	if err != nil {
		return 0, 0, err
	}
	operators := make(map[string]bool)
	futures := make([]jetstream.PubAckFuture, 0, batch)
	settle := func() error {
		a, k, err := answers(ctx, futures)
		added, known, futures = added+a, known+k, futures[:0]
		return errors.Join(err, n.note(ctx, l, "names", tally{Run: id, Done: a}))
	}
	for job := range jobs {
		if !operators[job.Operator] {
			if err = n.consumer(ctx, l, job.Operator); err != nil {
				break
			}
			operators[job.Operator] = true
		}
		f, e := l.js.PublishMsgAsync(&nats.Msg{Subject: n.subject("jobs." + encode(job.Operator) + "." + encode(job.Name))}, jetstream.WithRetryAttempts(2))
		if err = e; err != nil {
			break
		}
		if futures = append(futures, f); len(futures) == batch {
			if err = settle(); err != nil {
				break
			}
		}
	}
	return added, known, errors.Join(err, settle())
}

// answers waits for what NATS says of jobs that were sent.
func answers(ctx context.Context, futures []jetstream.PubAckFuture) (added, known int, err error) {
	for _, f := range futures {
		select {
		case <-f.Ok():
			added++
		case e := <-f.Err():
			var api *jetstream.APIError
			if errors.As(e, &api) && api.ErrorCode == perSubject {
				known++
			} else {
				err = errors.Join(err, e)
			}
		case <-ctx.Done():
			return added, known, ctx.Err()
		}
	}
	return added, known, err
}

// ackWait is after what time a job is another's, unless the worker says that it goes on.
func (n *Node) ackWait() time.Duration { return 15 * n.opt.Beat }

// consumer is the operator's, made where there is none.
func (n *Node) consumer(ctx context.Context, l list, operator string) error {
	_, err := l.stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: "op_" + encode(operator), FilterSubject: n.subject("jobs." + encode(operator) + ".*"),
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: n.ackWait(), MaxAckPending: 4096, InactiveThreshold: idleJobs,
	})
	return err
}

// begin begins a run, or joins the one that goes on.
func (n *Node) begin(ctx context.Context, l list) (string, error) {
	info, err := l.stream.Info(ctx)
	if err != nil {
		return "", err
	}
	r, revision, err := n.current(ctx, l)
	if err != nil || r.ID != "" && info.State.Msgs > 0 {
		return r.ID, err
	}
	r = run{ID: nuid.Next(), Started: time.Now().UTC()}
	b, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	if _, err = l.notes.Update(ctx, "run", b, revision); isWrongRevision(err) {
		r, _, err = n.current(ctx, l) // another machine was quicker
	}
	return r.ID, err
}

// note adds to what this machine has noted under kind: "names" that it put on the list, or what it has "done".
func (n *Node) note(ctx context.Context, l list, kind string, more tally) error {
	n.noting.Lock()
	defer n.noting.Unlock()
	key := kind + "." + n.opt.Node
	var t tally
	v, err := l.notes.Get(ctx, key)
	if err == nil {
		err = json.Unmarshal(v.Value(), &t)
	}
	if err != nil && !errors.Is(err, jetstream.ErrKeyNotFound) {
		return err
	}
	if t.Run != more.Run {
		t = tally{Run: more.Run}
	}
	t.Done, t.Failed = t.Done+more.Done, t.Failed+more.Failed
	b, err := json.Marshal(t)
	if err == nil {
		_, err = l.notes.Put(ctx, key, b)
	}
	return err
}

// current is the run, zero where there is none.
func (n *Node) current(ctx context.Context, l list) (r run, revision uint64, err error) {
	v, err := l.notes.Get(ctx, "run")
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return r, 0, nil
	}
	if err != nil {
		return r, 0, err
	}
	return r, v.Revision(), json.Unmarshal(v.Value(), &r)
}

// Jobs is how far the list has come, for all machines.
func (n *Node) Jobs(ctx context.Context) (p Progress, err error) {
	ctx, cancel := context.WithTimeout(ctx, jsAnswer)
	defer cancel()
	l, err := n.list(ctx)
	if err != nil {
		return p, err
	}
	r, _, err := n.current(ctx, l)
	if err != nil || r.ID == "" {
		return p, err
	}
	info, err := l.stream.Info(ctx)
	if err != nil {
		return p, err
	}
	p.Left, p.Started, p.Workers = int(info.State.Msgs), r.Started, make(map[string]int)
	last := r.Started
	keys, err := l.notes.ListKeysFiltered(ctx, "names.*", "done.*")
	if err != nil {
		return p, err
	}
	for key := range keys.Keys() {
		v, err := l.notes.Get(ctx, key)
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			continue
		}
		var t tally
		if err == nil {
			err = json.Unmarshal(v.Value(), &t)
		}
		if err != nil {
			return p, fmt.Errorf("%s: %w", key, err)
		}
		if t.Run != r.ID {
			continue
		}
		if kind, who, _ := strings.Cut(key, "."); kind == "names" {
			p.Names += t.Done
		} else {
			p.Workers[who] = t.Done
			p.Failed += t.Failed
			if v.Created().After(last) {
				last = v.Created().UTC()
			}
		}
	}
	p.Stopped, p.Dropped = r.Stopped, r.Dropped
	p.Done = max(p.Names-p.Left-p.Dropped, 0)
	noted := 0
	for _, n := range p.Workers {
		noted += n
	}
	// Workers note what they did once a second; one that was killed may have noted less.
	if p.Left == 0 && p.Names > 0 && (noted >= p.Done || time.Since(last) > 3*time.Second) {
		p.Finished = last
	}
	return p, nil
}

// StopJobs takes off the list what is not done, for all workers, and returns how many names there were. What they have begun is still
// taken in.
func (n *Node) StopJobs(ctx context.Context) (dropped int, err error) {
	ctx, cancel := context.WithTimeout(ctx, jsAnswer)
	defer cancel()
	l, err := n.list(ctx)
	if err != nil {
		return 0, err
	}
	before, err := l.stream.Info(ctx)
	if err != nil || before.State.Msgs == 0 {
		return 0, err
	}
	if err := l.stream.Purge(ctx); err != nil {
		return 0, err
	}
	dropped = int(before.State.Msgs)
	for {
		r, revision, err := n.current(ctx, l)
		if err != nil || r.ID == "" {
			return dropped, err
		}
		r.Stopped, r.Dropped = time.Now().UTC(), r.Dropped+dropped
		b, err := json.Marshal(r)
		if err != nil {
			return dropped, err
		}
		if _, err = l.notes.Update(ctx, "run", b, revision); !isWrongRevision(err) {
			return dropped, err
		}
	}
}
