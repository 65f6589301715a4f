package handlers

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/towpath/towpath/pkg/events"
)

// Definition describes an integration; all schemas are JSON Schema, draft
// 2020-12.
type Definition struct {
	Name          string                       `json:"name"`
	Version       string                       `json:"version"`
	Title         string                       `json:"title,omitempty"`
	Description   string                       `json:"description,omitempty"`
	Configuration json.RawMessage              `json:"configuration"`
	Events        map[string]EventDefinition   `json:"events,omitempty"`
	Actions       map[string]ActionDefinition  `json:"actions,omitempty"`
	Channels      map[string]ChannelDefinition `json:"channels,omitempty"`
	Samples       []string                     `json:"samples,omitempty"`
}

// EventDefinition describes an event.
type EventDefinition struct {
	Schema json.RawMessage `json:"schema"`
}

// ActionDefinition describes an action.
type ActionDefinition struct {
	Title       string          `json:"title,omitempty"`
	Description string          `json:"description,omitempty"`
	Billable    bool            `json:"billable,omitempty"`
	Input       json.RawMessage `json:"input"`
	Output      json.RawMessage `json:"output"`
}

// ChannelDefinition describes a channel; Messages maps types to schemas.
type ChannelDefinition struct {
	Title            string                     `json:"title,omitempty"`
	ConversationTags []string                   `json:"conversationTags,omitempty"`
	MessageTags      []string                   `json:"messageTags,omitempty"`
	Messages         map[string]json.RawMessage `json:"messages"`
}

// IntegrationID is the id of the integration in this version. It has the
// length and form that Botpress's ids have.
func (d Definition) IntegrationID() string {
	return "intver_" + strings.TrimPrefix(events.DeliveryID(d.Name, d.Version), "dlv_")
}

var (
	integrationName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)
	memberName      = regexp.MustCompile(`^[a-z][a-zA-Z0-9]{0,199}$`)
)

// Definition implements [Registrable].
func (i Integration[C]) Definition() (Definition, error) {
	d := Definition{
		Name: i.Name, Version: i.Version, Title: i.Title, Description: i.Description,
		Events: map[string]EventDefinition{}, Actions: map[string]ActionDefinition{},
		Channels: map[string]ChannelDefinition{}, Samples: sorted(i.Samples),
	}
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(i.Name+": "+format, args...)) }
	member := func(kind, name string, err error) {
		if !memberName.MatchString(name) {
			fault("%s %q: a name is camelCase, letters and digits", kind, name)
		}
		if err != nil {
			fault("%s %s: %w", kind, name, err)
		}
	}
	if !integrationName.MatchString(i.Name) {
		fault("integration name %q: a name is lower case letters, digits and dashes", i.Name)
	}
	if i.Version == "" {
		fault("version is missing")
	}
	if (i.Verify == nil) != i.Unverified {
		fault("set Verify, or say Unverified aloud; one of the two")
	}
	var err error
	if d.Configuration, err = events.ClosedSchema[C](); err != nil {
		fault("configuration: %w", err)
	}
	for _, declared := range i.Events {
		name := declared.EventName()
		if _, twice := d.Events[name]; twice {
			fault("event %s is declared twice", name)
		}
		member("event", name, nil)
		d.Events[name] = EventDefinition{Schema: declared.EventSchema()}
	}
	for name, action := range i.Actions {
		member("action", name, action.fault)
		d.Actions[name] = ActionDefinition{
			Title: action.info.Title, Description: action.info.Description, Billable: action.info.Billable,
			Input: action.input, Output: action.output,
		}
	}
	for name, channel := range i.Channels {
		member("channel", name, nil)
		described := ChannelDefinition{
			Title: channel.Title, ConversationTags: channel.ConversationTags, MessageTags: channel.MessageTags,
			Messages: map[string]json.RawMessage{},
		}
		for typ, message := range channel.Messages {
			member("message", typ, message.fault)
			described.Messages[typ] = message.schema
		}
		d.Channels[name] = described
	}
	return d, errors.Join(faults...)
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// names lists the keys of a map for an error that says what there is.
func names[V any](m map[string]V) string {
	if len(m) == 0 {
		return "none"
	}
	return strings.Join(sorted(m), ", ")
}
