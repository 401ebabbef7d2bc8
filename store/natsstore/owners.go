package natsstore

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// owners say whose first contacts are, in a bucket of their own: a key for each number, which says the state, the process, and its node.
// The consumer alone would do if it forgot nothing: a server that is killed may forget what was given to whom and acknowledged in the
// last moment, and give it to another node. What is published is not forgotten. How old a state is, is by the clocks of NATS and of
// the node: where they are further apart than AckWait, nodes may take what is others'.
type owners struct {
	subjects
	id   string // of this process
	node string
}

// The states of a first contact.
const (
	stateTaken = "taken" // a node emits it; another one takes it where that has not said so for AckWait
	stateDone  = "done"  // it is emitted
	stateFree  = "free"  // its node has ended
)

// How long the states are kept, and how many: a server that is killed forgets what was within seconds.
const (
	contactsAge = time.Hour
	maxContacts = 100_000
)

// verdict is what came of taking a first contact.
type verdict struct {
	mine, done bool
	again      time.Duration // if neither: when to try again
}

func (o *owners) message(ev *event, state string) *nats.Msg {
	return &nats.Msg{Subject: o.prefix() + strconv.FormatUint(ev.sighting.Event, 10), Data: []byte(state + " " + o.id + " " + o.node)}
}

// put publishes states together, where the last one is that which the event knows of. Errors that are conflicts say that it is not.
func (o *owners) put(ctx context.Context, link *link, list []*event, state string) []error {
	errs := make([]error, len(list))
	futures := make([]jetstream.PubAckFuture, len(list))
	for i, ev := range list {
		futures[i], errs[i] = link.js.PublishMsgAsync(o.message(ev, state), jetstream.WithExpectLastSequencePerSubject(ev.seq), jetstream.WithRetryAttempts(0))
	}
	for i, f := range futures {
		if f == nil {
			continue
		}
		select {
		case ack := <-f.Ok():
			list[i].seq = ack.Sequence
		case errs[i] = <-f.Err():
		case <-ctx.Done():
			errs[i] = ctx.Err()
		}
	}
	return errs
}

// take takes first contacts. The verdicts hold also where there is an error: what could not be told is tried again.
func (o *owners) take(ctx context.Context, link *link, list []*event, wait time.Duration) (verdicts []verdict, err error) {
	verdicts = make([]verdict, len(list))
	for i, e := range o.put(ctx, link, list, stateTaken) {
		verdicts[i] = verdict{mine: e == nil, again: wait / 4}
		if conflicts(e) {
			verdicts[i], e = o.takeOver(ctx, link, list[i], wait)
		}
		err = errors.Join(err, e)
	}
	return verdicts, err
}

// takeOver takes a first contact that has a state.
func (o *owners) takeOver(ctx context.Context, link *link, ev *event, wait time.Duration) (verdict, error) {
	later := verdict{again: wait / 4}
	is, err := o.look(ctx, link, ev)
	switch {
	case err != nil:
		return later, err
	case is.state == stateDone:
		return verdict{done: true}, nil
	case is.state == stateTaken && !is.mine && is.age < wait:
		return verdict{again: min(max(wait-is.age, time.Millisecond), wait)}, nil
	}
	err = o.put(ctx, link, []*event{ev}, stateTaken)[0]
	if conflicts(err) { // another one took it over
		return later, nil
	}
	return verdict{mine: err == nil, again: wait / 4}, err
}

// owner is what is said of a first contact.
type owner struct {
	state string // empty where nothing is said
	mine  bool
	age   time.Duration
}

// look reads what is said of a first contact, and has the event know that.
func (o *owners) look(ctx context.Context, link *link, ev *event) (is owner, err error) {
	msg, err := link.contacts.GetLastMsgForSubject(ctx, o.message(ev, "").Subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) { // on its way to the servers of a cluster, or too old
		ev.seq = 0
		return is, nil
	}
	if err != nil {
		return is, err
	}
	ev.seq = msg.Sequence
	state, rest, _ := strings.Cut(string(msg.Data), " ")
	id, _, _ := strings.Cut(rest, " ")
	return owner{state: state, mine: id == o.id, age: time.Since(msg.Time)}, nil
}

// mark gives first contacts that are this node's a state. It returns those that have it, and those that are another's by now.
func (o *owners) mark(ctx context.Context, link *link, list []*event, state string) (marked, lost []*event, err error) {
	for i, e := range o.put(ctx, link, list, state) {
		ev, is := list[i], owner{}
		if conflicts(e) { // perhaps with a message of our own, whose answer came too late
			if is, e = o.look(ctx, link, ev); e == nil && is.state != stateDone && (is.mine || is.state == "") {
				e = o.put(ctx, link, []*event{ev}, state)[0]
			}
		}
		switch {
		case e != nil:
			err = errors.Join(err, e)
		case is.state != "" && !is.mine:
			lost = append(lost, ev)
		default:
			marked = append(marked, ev)
		}
	}
	return marked, lost, err
}
