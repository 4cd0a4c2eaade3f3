package wire_test

import (
	"context"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"muster/internal/wire"
)

// The messages of wire.proto by the names of the examples.
var protoNames = map[string]protoreflect.Name{
	"challenge": "Challenge", "hello": "Hello", "welcome": "Welcome", "refusal": "Refusal", "schema": "SchemaDef",
	"frames": "Frames", "ack": "Ack", "order": "Order", "facts": "Facts", "goodbye": "Goodbye",
	"assign": "Assign", "run": "Run", "ran": "Ran",
}

// A protobuf library that knows only wire.proto must read what Marshal writes, know every field of it,
// and write what Parse reads.
func TestTheBytesAreThoseOfWireProto(t *testing.T) {
	compiler := protocompile.Compiler{Resolver: &protocompile.SourceResolver{ImportPaths: []string{"../../docs/format"}}}
	files, err := compiler.Compile(context.Background(), "wire.proto")
	if err != nil {
		t.Fatal(err)
	}
	messages := files[0].Messages()
	for name, m := range examples() {
		envelope := dynamicpb.NewMessage(messages.ByName("Envelope"))
		decode(t, name, envelope, wire.Marshal(nil, 3, 1790000000456, m))
		fields := envelope.Descriptor().Fields()
		if got := envelope.Get(fields.ByName("kind")).Enum(); int(got) != int(m.Kind()) {
			t.Errorf("%s: kind %d", name, got)
		}
		body := dynamicpb.NewMessage(messages.ByName(protoNames[name]))
		decode(t, name, body, envelope.Get(fields.ByName("body")).Bytes())
		allSet(t, name, body)

		raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		back, err := wire.Parse(wire.Envelope{Kind: m.Kind(), Body: raw})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, want := wire.Marshal(nil, 3, 4, back), wire.Marshal(nil, 3, 4, m); string(got) != string(want) {
			t.Errorf("%s: what the library writes is read as another message", name)
		}
	}
}

func decode(t *testing.T, name string, into *dynamicpb.Message, b []byte) {
	t.Helper()
	if err := proto.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if unknown := into.GetUnknown(); len(unknown) > 0 {
		t.Errorf("%s: fields that wire.proto does not have: %x in %s", name, unknown, prototext.Format(into))
	}
}

// allSet fails when a field of the message is not in the example: then nothing would be compared.
func allSet(t *testing.T, name string, m protoreflect.Message) {
	t.Helper()
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if !m.Has(field) {
			t.Errorf("%s: the example has no %s", name, field.Name())
			continue
		}
		if field.Message() != nil && !field.IsList() && !field.IsMap() {
			allSet(t, name, m.Get(field).Message())
		}
		if field.IsList() && field.Message() != nil {
			allSet(t, name, m.Get(field).List().Get(0).Message())
		}
		if len(m.GetUnknown()) > 0 {
			t.Errorf("%s: unknown fields", name)
		}
	}
}
