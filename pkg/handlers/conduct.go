package handlers

import (
	"cmp"
	"time"

	"github.com/towpath/towpath/pkg/events"
)

// RetryPolicy says how often and how long a delivery is tried, and how long to
// wait in between: a random part of a bound that doubles with each attempt,
// unless the platform asked for a wait of its own.
type RetryPolicy struct {
	MaxAttempts int           // 15 when zero
	MaxAge      time.Duration // since it was stored; 24 h when zero
	Base        time.Duration // bound of the first wait; 500 ms when zero
	Cap         time.Duration // bound of every wait; 5 min when zero
}

// Or fills each field that is zero from another policy.
func (p RetryPolicy) Or(other RetryPolicy) RetryPolicy {
	return RetryPolicy{
		MaxAttempts: cmp.Or(p.MaxAttempts, other.MaxAttempts),
		MaxAge:      cmp.Or(p.MaxAge, other.MaxAge),
		Base:        cmp.Or(p.Base, other.Base),
		Cap:         cmp.Or(p.Cap, other.Cap),
	}
}

// EveryOperation stands in [Integration].Retry for all operations; what one of
// them has of its own goes before.
const EveryOperation events.Operation = ""

// Uncertain is what becomes of a send of which nobody knows whether the
// platform took it: its attempt died, or was cut off before the answer came.
type Uncertain string

// What may become of an uncertain send.
const (
	// Resend sends again, so that nothing is lost, and a person may see it
	// twice. It is the default.
	Resend Uncertain = ""
	// Hold sends nothing until an operator decides, so that nothing is doubled,
	// and a person may never see it: for what must not happen twice.
	Hold Uncertain = "hold"
)

// Rate is how much a platform takes: Limit in each Per, and Burst at once after
// a pause. The zero value is no limit.
type Rate struct {
	Limit int
	Per   time.Duration
	Burst int // 1 when zero
}

// Interval is how far apart two sends are when there is no burst; 0 when there
// is no limit.
func (r Rate) Interval() time.Duration {
	if r.Limit <= 0 {
		return 0
	}
	return r.Per / time.Duration(r.Limit)
}

// Conduct is how the runtime carries out one operation of an installation.
type Conduct struct {
	// Retry has zero fields where the integration leaves it to the runtime.
	Retry     RetryPolicy
	Uncertain Uncertain
	// Conversation is the rate of each conversation on its own, Installation
	// that of all the installation sends.
	Conversation, Installation Rate
}

// Conduct implements [Installed].
func (i *installed[C]) Conduct(operation events.Operation, channel string) Conduct {
	c := Conduct{Retry: i.Retry[operation].Or(i.Retry[EveryOperation]), Uncertain: i.Uncertain}
	switch operation {
	case events.MessageCreated:
		c.Conversation, c.Installation = i.Channels[channel].Rate, i.Rate
	case events.ActionTriggered, events.MessageUpdated, events.ConversationUpdated:
		c.Installation = i.Rate
	}
	return c
}

func describeConduct[C any](d *describer, i Integration[C]) {
	for _, operation := range sorted(i.Retry) {
		policy := i.Retry[operation]
		if operation != EveryOperation && !operation.Known() {
			d.faultf("retry: there is no operation %q", operation)
		}
		if policy.MaxAttempts < 0 || policy.MaxAge < 0 || policy.Base < 0 || policy.Cap < 0 {
			d.faultf("retry of operation %q: a negative value; leave it out for the default", operation)
		}
		if policy.Cap > 0 && policy.Base > policy.Cap {
			d.faultf("retry of operation %q: Base %s is longer than Cap %s", operation, policy.Base, policy.Cap)
		}
	}
	if i.Uncertain != Resend && i.Uncertain != Hold {
		d.faultf("uncertain: %q is neither Resend nor Hold", i.Uncertain)
	}
	d.rate("rate", i.Rate)
	for _, name := range sorted(i.Channels) {
		d.rate("rate of channel "+name, i.Channels[name].Rate)
	}
}

func (d *describer) rate(what string, r Rate) {
	if r != (Rate{}) && (r.Limit <= 0 || r.Burst < 0 || r.Interval() <= 0) {
		d.faultf("%s: Limit and Per must be positive, and Burst not negative", what)
	}
}
