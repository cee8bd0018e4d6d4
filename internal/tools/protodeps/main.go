// Command protodeps prints the third-party .proto files that our contracts import, from the descriptors in the Go modules
// that go.mod pins. The contracts then build against exactly the version that the binary links, with no schema registry.
//
//	go run ./internal/tools/protodeps third_party/proto
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/jhump/protoreflect/v2/protoprint"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// roots are the files that our contracts import; what these import comes along.
var roots = []protoreflect.FileDescriptor{
	validate.File_buf_validate_validate_proto,
	annotations.File_google_api_annotations_proto,
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: protodeps FOLDER")
		os.Exit(2)
	}
	printer := &protoprint.Printer{Compact: true}
	seen := map[string]bool{}
	for _, root := range roots {
		if err := write(printer, os.Args[1], root, seen); err != nil {
			fmt.Fprintln(os.Stderr, "protodeps:", err)
			os.Exit(1)
		}
	}
}

func write(printer *protoprint.Printer, folder string, file protoreflect.FileDescriptor, seen map[string]bool) error {
	if seen[file.Path()] || strings.HasPrefix(file.Path(), "google/protobuf/") {
		return nil
	}
	seen[file.Path()] = true
	for i := range file.Imports().Len() {
		if err := write(printer, folder, file.Imports().Get(i).FileDescriptor, seen); err != nil {
			return err
		}
	}
	name := filepath.Join(folder, filepath.FromSlash(file.Path()))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	out, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := printer.PrintProtoFile(file, out); err != nil {
		out.Close()
		return fmt.Errorf("print %s: %w", file.Path(), err)
	}
	return out.Close()
}
