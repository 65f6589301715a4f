package replay

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
)

// prefixes are those of entities' ids, by the name of the entity in answers.
var prefixes = map[string]string{
	"user": "user", "participant": "user", "conversation": "conv", "message": "msg", "event": "evt", "state": "state",
}

// makeUp answers an effect that is held back as if it had been done: the entity
// in the answer has what the input says of it, and what like says of the one
// that was made then. It gets an id of its own otherwise.
func (p *playback) makeUp(call client.Call, input, like json.RawMessage, out any) error {
	var given map[string]json.RawMessage
	if err := json.Unmarshal(input, &given); err != nil {
		return fmt.Errorf("hold back %s: %w", call.Operation.Name, err)
	}
	if call.Operation.Name == "callAction" && len(like) == 0 {
		return client.NewError(client.Internal, "callAction: %s: nobody can tell what the action would have answered", NotRecorded)
	}
	blank, err := json.Marshal(call.Operation.NewOutput())
	if err != nil {
		return err
	}
	var answer map[string]json.RawMessage
	if err := json.Unmarshal(blank, &answer); err != nil {
		return err
	}
	if len(like) > 0 {
		if err := json.Unmarshal(like, &answer); err != nil {
			return err
		}
	}
	for name, prefix := range prefixes {
		if answer[name] == nil {
			continue
		}
		about := given
		var own map[string]json.RawMessage
		if json.Unmarshal(given[name], &own) == nil && own != nil {
			about = own // an operation with several entities says of each its own
		}
		if answer[name], err = p.entity(call, prefix, answer[name], about); err != nil {
			return err
		}
	}
	if len(like) == 0 && strings.HasPrefix(call.Operation.Name, "getOrCreate") {
		answer["meta"] = json.RawMessage(`{"created":true}`)
	}
	whole, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return json.Unmarshal(whole, out)
}

// entity lays what an input says over an entity.
func (p *playback) entity(call client.Call, prefix string, like json.RawMessage, given map[string]json.RawMessage) (json.RawMessage, error) {
	var entity map[string]json.RawMessage
	if err := json.Unmarshal(like, &entity); err != nil {
		return nil, err
	}
	var id string
	_ = json.Unmarshal(entity["id"], &id)
	fresh := id == ""
	if fresh {
		id = events.NewID(prefix)
	}
	for field, value := range given {
		switch {
		case field == "id" && prefix != "state":
			_ = json.Unmarshal(value, &id) // what is changed keeps its id
		case field == "type" && prefix == "evt":
			var typ string
			_ = json.Unmarshal(value, &typ)
			entity[field] = quoted(call.Caller.Alias + ":" + typ)
		case field != "id":
			entity[field] = value
		}
	}
	entity["id"] = quoted(id)
	if fresh {
		now := quoted(p.now().UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano))
		entity["createdAt"], entity["updatedAt"] = now, now
		switch prefix {
		case "msg":
			entity["direction"] = quoted(string(client.Incoming))
		case "evt":
			entity["status"] = quoted(string(client.EventPending))
		}
	}
	made, err := json.Marshal(entity)
	p.made[id] = made
	return made, err
}

func quoted(text string) json.RawMessage {
	data, _ := json.Marshal(text)
	return data
}

// found answers a read of an entity that was made up.
func (p *playback) found(input json.RawMessage, out any) bool {
	var named struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(input, &named) != nil || p.made[named.ID] == nil {
		return false
	}
	for name, prefix := range prefixes {
		if strings.HasPrefix(named.ID, prefix+"_") {
			data, err := json.Marshal(map[string]json.RawMessage{name: p.made[named.ID]})
			if err == nil && name != "participant" && json.Unmarshal(data, out) == nil {
				return true
			}
		}
	}
	return false
}
