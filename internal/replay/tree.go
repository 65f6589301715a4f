package replay

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
)

// Kind is what a [Node] is.
type Kind string

// The kinds, from cause to effect.
const (
	OfWebhook    Kind = "webhook"
	OfCommand    Kind = "command"  // other work: a bot's message, an action, a registration
	OfAttempt    Kind = "attempt"  // one run of the handler
	OfCall       Kind = "call"     // what the handler asked of Towpath
	OfExchange   Kind = "exchange" // what it asked of the platform
	OfEvent      Kind = "event"    // what a bot was told
	OfStatus     Kind = "status"   // what became of a message
	OfDeadLetter Kind = "dead_letter"
)

// Node is one thing that happened, with what followed from it.
type Node struct {
	Kind   Kind      `json:"kind"`
	Name   string    `json:"name"`
	ID     string    `json:"id,omitempty"`
	At     time.Time `json:"at,omitzero"`
	MS     float64   `json:"ms"` // since the thread began
	TookMS float64   `json:"tookMs,omitempty"`
	Worker string    `json:"worker,omitempty"`
	Status string    `json:"status,omitempty"`
	Error  string    `json:"error,omitempty"`
	// Detail is what else is known, by name.
	Detail   map[string]any `json:"detail,omitempty"`
	Children []*Node        `json:"children,omitempty"`
}

func (n *Node) add(child *Node) *Node {
	n.Children = append(n.Children, child)
	return child
}

// detail notes something unless it is empty.
func (n *Node) detail(name, value string) {
	if value == "" {
		return
	}
	if n.Detail == nil {
		n.Detail = map[string]any{}
	}
	n.Detail[name] = value
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// planted are the nodes that others hang on.
type planted struct {
	work map[string][]*Node // by delivery, as often as it stands in its queue
	told map[string]*Node   // by the event's id
	made map[string]*Node   // the call that made something, by its id
}

// thread makes a tree of the parts.
func (g *gathered) thread() *Thread {
	slices.SortStableFunc(g.work, func(a, b job) int { return a.Stored.Compare(b.Stored) })
	slices.SortStableFunc(g.told, func(a, b told) int { return a.Stored.Compare(b.Stored) })
	p := planted{work: map[string][]*Node{}, told: map[string]*Node{}, made: map[string]*Node{}}
	nodes := make([]*Node, len(g.work))
	for i, j := range g.work {
		nodes[i] = g.jobNode(j)
		p.work[j.Event.ID()] = append(p.work[j.Event.ID()], nodes[i])
	}
	for i, j := range g.work {
		g.hangAttempts(p, j, nodes[i])
	}
	for _, t := range g.told {
		p.told[t.Event.ID()] = toldNode(t)
	}
	top := &Node{At: g.root.Stored}
	for i, j := range g.work {
		g.under(p, j.Entry, nodes[i], top).add(nodes[i])
	}
	for _, t := range g.told {
		node := p.told[t.Event.ID()]
		g.under(p, t.Entry, node, top).add(node)
	}
	thread := &Thread{Trace: g.root.TraceID(), Began: g.root.Stored, Notes: g.notes, Tree: top.Children}
	for _, n := range thread.Tree {
		if n.At.Before(thread.Began) { // what was replayed
			thread.Began = n.At
		}
	}
	thread.MS = settle(top, thread.Began)
	return thread
}

// settle orders what follows from a node by when it began, says how long after
// the beginning that was, and returns when the last of it was at its end.
func settle(n *Node, began time.Time) (last float64) {
	if !n.At.IsZero() {
		n.MS = ms(n.At.Sub(began))
		last = n.MS + n.TookMS
	}
	slices.SortStableFunc(n.Children, func(a, b *Node) int {
		if a.At.IsZero() || b.At.IsZero() {
			return 0
		}
		return a.At.Compare(b.At)
	})
	for _, child := range n.Children {
		last = max(last, settle(child, began))
	}
	return last
}

// jobNode is a delivery, without its attempts.
func (g *gathered) jobNode(j job) *Node {
	installation := g.Installation(j.Webhook())
	n := &Node{
		Kind: OfCommand, Name: j.TypeName() + " → " + cmp.Or(installation.Alias, j.Webhook()), ID: j.Event.ID(),
		At: j.Stored, Status: string(j.State), Worker: j.Record.Worker,
	}
	n.detail("installation", installation.WebhookID)
	n.detail("platform", installation.Integration)
	if j.Operation == events.WebhookReceived {
		n.detail("key", j.Event.Subject())
	} else {
		n.detail("conversation", j.Event.Subject())
	}
	n.detail("place", fmt.Sprintf("%s %d", j.Stream, j.Seq))
	n.detail("waits", j.Why)
	n.detail("retryOf", events.Extension(j.Event, broker.RetryOf))
	n.detail("replayed", events.Extension(j.Event, broker.Replayed))
	if !j.Until.IsZero() {
		n.detail("until", j.Until.UTC().Format(time.RFC3339Nano))
	}
	if j.Operation == events.WebhookReceived {
		n.Kind, n.Name = OfWebhook, "webhook ← "+cmp.Or(installation.Alias, j.Webhook())
		n.detail("providerId", j.ProviderID())
		if r := j.Request(); r != nil {
			n.detail("request", strings.TrimSuffix(r.Method+" "+r.Path+"?"+r.Query, "?"))
		}
	}
	for _, letter := range j.letters {
		n.add(letterNode(letter))
	}
	if j.message != nil {
		addStatuses(n, *j.message)
	}
	return n
}

func letterNode(l broker.Letter) *Node {
	n := &Node{Kind: OfDeadLetter, Name: "dead letter", ID: l.ID, At: l.Buried, Error: l.Reason}
	n.detail("subscription", l.Subscription)
	return n
}

// addStatuses tells how far an outgoing message got.
func addStatuses(n *Node, m client.Message) {
	add := func(name string, at *time.Time) *Node {
		if at == nil {
			return &Node{}
		}
		return n.add(&Node{Kind: OfStatus, Name: name, At: *at})
	}
	add("sent", m.SentAt)
	acked := add("acked", m.AckedAt)
	for name, value := range m.Tags {
		acked.detail(name, value)
	}
	add("delivered", m.DeliveredAt)
	add("read", m.ReadAt)
	if m.Status == client.Failed {
		n.add(&Node{Kind: OfStatus, Name: "failed", At: m.UpdatedAt, Error: m.FailureReason})
	}
	if m.Ambiguous > 0 {
		n.detail("ambiguous", fmt.Sprintf("%d sends of which nobody knows whether the platform took them", m.Ambiguous))
	}
}

func toldNode(t told) *Node {
	bot := strings.TrimPrefix(t.Event.Source(), "/bots/")
	n := &Node{Kind: OfEvent, Name: t.TypeName() + " → bot " + bot, ID: t.Event.ID(), At: t.Stored}
	n.detail("conversation", t.Event.Subject())
	n.detail("place", fmt.Sprintf("%s %d", t.Stream, t.Seq))
	if t.status != nil {
		n.Status = string(t.status.Status)
		if t.status.FailureReason != nil {
			n.Error = *t.status.FailureReason
		}
	}
	for _, letter := range t.letters {
		n.add(letterNode(letter))
	}
	return n
}

// hangAttempts adds the attempts at a delivery: those that were recorded, and
// those of which only the error is known. A delivery that was sent again has
// some under each message.
func (g *gathered) hangAttempts(p planted, j job, n *Node) {
	if j.State == Duplicate {
		return
	}
	place := func(at time.Time) *Node {
		of := n
		for _, candidate := range p.work[j.Event.ID()] {
			if candidate.Status != string(Duplicate) && (!candidate.At.After(at) || of.At.After(at)) {
				of = candidate
			}
		}
		return of
	}
	failures := slices.Clone(j.Record.Errors)
	if j.State == SentAgain {
		failures = nil // the message that stands for it now tells them
	}
	for _, r := range j.attempts {
		ended := r.Began.Add(r.Took)
		failures = slices.DeleteFunc(failures, func(f broker.Failure) bool {
			return f.Attempt == r.Attempt && f.At.After(r.Began) && f.At.Before(ended.Add(clockSkew))
		})
		attempt := place(ended).add(&Node{
			Kind: OfAttempt, Name: fmt.Sprintf("attempt %d", r.Attempt), At: r.Began, TookMS: ms(r.Took),
			Worker: r.Worker, Status: cmp.Or(string(r.Decision), "cut short"), Error: r.Error,
		})
		for _, c := range r.Calls {
			if c.Effect || c.Error != nil {
				hangCall(p, attempt, c)
			}
		}
		for _, e := range r.Exchanges {
			attempt.add(exchangeNode(attempt.At, e))
		}
		if r.Truncated {
			attempt.detail("recording", "it did more than is recorded")
		}
	}
	for _, f := range failures {
		place(f.At).add(&Node{Kind: OfAttempt, Name: fmt.Sprintf("attempt %d", f.Attempt), At: f.At, Worker: f.Worker, Status: "failed", Error: f.Error})
	}
	if j.State == AtWork && j.Record.Begun > 0 {
		n.add(&Node{Kind: OfAttempt, Name: fmt.Sprintf("attempt %d", j.Record.Begun), Worker: j.Record.Worker, Status: "under way"})
	}
}

// hangCall adds what a handler asked of Towpath.
func hangCall(p planted, attempt *Node, c dispatch.Call) {
	n := attempt.add(&Node{Kind: OfCall, Name: c.Operation, At: attempt.At.Add(c.After), TookMS: ms(c.Took)})
	if c.Error != nil {
		n.Error = c.Error.Error()
		return
	}
	var made map[string]json.RawMessage
	if json.Unmarshal(c.Output, &made) != nil {
		return
	}
	for _, what := range []string{"message", "event", "user", "conversation"} {
		var entity struct {
			ID string `json:"id"`
		}
		if json.Unmarshal(made[what], &entity) != nil || entity.ID == "" {
			continue
		}
		n.ID = entity.ID
		if strings.HasPrefix(c.Operation, "create") || strings.HasPrefix(c.Operation, "getOrCreate") {
			p.made[n.ID] = cmp.Or(p.made[n.ID], n)
		}
		break
	}
}

// exchangeNode is a request to a platform, and its answer.
func exchangeNode(began time.Time, e dispatch.Exchange) *Node {
	target := e.URL
	if u, err := url.Parse(e.URL); err == nil {
		target = u.Host + u.EscapedPath()
	}
	n := &Node{Kind: OfExchange, Name: e.Method + " " + target, At: began.Add(e.After), TookMS: ms(e.Took), Error: e.Error}
	if e.Status != 0 {
		n.Status = strconv.Itoa(e.Status)
	}
	if e.Status >= 400 && n.Error == "" {
		n.Error = strings.TrimSpace(e.Answer)
	}
	return n
}

// under is the node that a message follows from.
func (g *gathered) under(p planted, e Entry, n, top *Node) *Node {
	id := e.Event.ID()
	cause := e.Cause()
	switch made := p.made[id]; {
	case id == g.root.Event.ID(), e.Operation == events.WebhookReceived:
		return top
	case made != nil:
		return made
	case p.told[cause] != nil && p.told[cause] != n:
		return p.told[cause]
	case len(p.work[cause]) > 0 && p.work[cause][0] != n:
		return running(p.work[cause], e.Stored)
	}
	// A bot over HTTP does not say what it answers.
	var before *Node
	for _, t := range g.told {
		if t.Seq == e.Seq && t.Stream == e.Stream || t.Stored.After(e.Stored) {
			continue
		}
		if before == nil || t.Event.Subject() == e.Event.Subject() {
			before = p.told[t.Event.ID()]
		}
	}
	if before != nil && before != n {
		return before
	}
	if of := p.work[g.root.Event.ID()]; len(of) > 0 && of[0] != n {
		return running(of, e.Stored)
	}
	return top
}

// running is the attempt that was under way at a time, or else the delivery.
func running(of []*Node, at time.Time) *Node {
	under := of[0]
	for _, delivery := range of {
		for _, attempt := range delivery.Children {
			if attempt.Kind == OfAttempt && !attempt.At.IsZero() && !attempt.At.After(at) {
				under = attempt
			}
		}
	}
	return under
}
