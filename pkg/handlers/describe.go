package handlers

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/towpath/towpath/pkg/events"
)

var (
	integrationName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)
	memberName      = regexp.MustCompile(`^[a-z][a-zA-Z0-9]{0,199}$`)
	secretName      = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,99}$`)
)

// Botpress's limits on what one integration may declare.
const (
	maxEvents   = 20
	maxChannels = 10
	maxMessages = 20 // types of a channel
	maxStates   = 20
	maxSecrets  = 25
	maxTags     = 50 // of one kind of entity
)

// describer collects a definition and every fault of it.
type describer struct {
	Definition
	faults []error
}

// Definition implements [Registrable].
func (i Integration[C]) Definition() (Definition, error) {
	d := &describer{Definition: Definition{
		Name: i.Name, Version: i.Version, Title: i.Title, Description: i.Description, Icon: i.Icon, Readme: i.Readme,
		Configurations: map[string]ConfigurationDefinition{}, Secrets: i.Secrets,
		Events: map[string]EventDefinition{}, Actions: map[string]ActionDefinition{},
		Channels: map[string]ChannelDefinition{}, States: map[string]StateDefinition{},
		UserTags: i.UserTags, GlobalWebhook: i.Identifier != nil, Samples: sorted(i.Samples),
		Wire: i.Wire,
	}}
	if !integrationName.MatchString(i.Name) {
		d.faultf("integration name %q: a name is lower case letters, digits and dashes", i.Name)
	}
	if i.Version == "" {
		d.faultf("version is missing")
	}
	if (i.Verify == nil) != i.Unverified {
		d.faultf("set Verify, or say Unverified aloud; one of the two")
	}
	if i.Wire != (Wire{}) && (i.Handshake == nil) != (i.Wire.Handshake == "") {
		d.faultf("wire: it tells of a handshake if and only if there is one")
	}
	if i.Identifier != nil && i.Identifier.Extract == nil {
		d.faultf("identifier: Extract is missing")
	}
	if i.Answers != nil {
		if i.Answers.Awaited == nil || i.Answers.Within <= 0 {
			d.faultf("answers: Awaited and Within are required")
		}
		d.AnswersWithin = i.Answers.Within.Milliseconds()
	}
	describeConfigurations(d, i)
	describeEvents(d, i.Events)
	for name, action := range i.Actions {
		d.member("action", name, action.fault)
		d.Actions[name] = ActionDefinition{
			Title: action.info.Title, Description: action.info.Description, Billable: action.info.Billable,
			Input: action.input, Output: action.output,
		}
	}
	describeChannels(d, i.Channels)
	describeStates(d, i)
	describeConduct(d, i)
	return d.Definition, errors.Join(d.faults...)
}

func (d *describer) faultf(format string, args ...any) {
	d.faults = append(d.faults, fmt.Errorf("%s: %w", d.Name, fmt.Errorf(format, args...)))
}

func (d *describer) member(kind, name string, err error) {
	if !memberName.MatchString(name) {
		d.faultf("%s %q: a name is camelCase, letters and digits", kind, name)
	}
	if err != nil {
		d.faultf("%s %s: %w", kind, name, err)
	}
}

func (d *describer) atMost(limit, n int, what string) {
	if n > limit {
		d.faultf("%d %s, at most %d are possible", n, what, limit)
	}
}

func describeConfigurations[C any](d *describer, i Integration[C]) {
	var err error
	if d.Configuration, err = events.ClosedSchema[C](); err != nil {
		d.faultf("configuration: %w", err)
		return
	}
	for name, named := range i.Configurations {
		schema, err := named.schema(d.Configuration)
		d.member("configuration", name, err)
		d.Configurations[name] = ConfigurationDefinition{Title: named.Title, Description: named.Description, Schema: schema}
	}
	for name := range i.Secrets {
		if !secretName.MatchString(name) {
			d.faultf("secret %q: a name is SCREAMING_SNAKE case", name)
		}
	}
	d.atMost(maxSecrets, len(i.Secrets), "secrets")
}

func describeEvents(d *describer, declared []events.Declared) {
	for _, event := range declared {
		name := event.EventName()
		if _, twice := d.Events[name]; twice {
			d.faultf("event %s is declared twice", name)
		}
		d.member("event", name, nil)
		d.Events[name] = EventDefinition{Schema: event.EventSchema()}
	}
	d.atMost(maxEvents, len(declared), "events")
}

func describeChannels[C any](d *describer, channels Channels[C]) {
	for name, channel := range channels {
		d.member("channel", name, nil)
		described := ChannelDefinition{
			Title: channel.Title, ConversationTags: channel.ConversationTags, MessageTags: channel.MessageTags, Receipt: channel.Receipt,
			Messages: map[string]json.RawMessage{},
		}
		for typ, message := range channel.Messages {
			d.member("message", typ, message.fault)
			described.Messages[typ] = message.schema
		}
		if channel.Receipt != "" && !slices.Contains(channel.MessageTags, channel.Receipt) {
			d.faultf("receipt of channel %s: %q is none of its message tags", name, channel.Receipt)
		}
		d.atMost(maxMessages, len(channel.Messages), "message types of channel "+name)
		d.atMost(maxTags, len(channel.ConversationTags), "conversation tags of channel "+name)
		d.atMost(maxTags, len(channel.MessageTags), "message tags of channel "+name)
		d.Channels[name] = described
	}
	d.atMost(maxChannels, len(channels), "channels")
}

func describeStates[C any](d *describer, i Integration[C]) {
	for _, state := range i.States {
		name := state.StateName()
		if _, twice := d.States[name]; twice {
			d.faultf("state %s is declared twice", name)
		}
		d.member("state", name, nil)
		d.States[name] = StateDefinition{Type: state.StateType(), Schema: state.StateSchema()}
	}
	d.atMost(maxStates, len(i.States), "states")
	d.atMost(maxTags, len(i.UserTags), "user tags")
}

func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// names lists the keys of a map for an error that says what there is.
func names[V any](m map[string]V) string {
	if len(m) == 0 {
		return "none"
	}
	return strings.Join(sorted(m), ", ")
}
