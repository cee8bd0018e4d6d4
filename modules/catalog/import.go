package catalog

import (
	"slices"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
)

// importState is where an import is in its life. The words are those of the table.
type importState string

const (
	importOpen      importState = "open"
	importRunning   importState = "running"
	importDone      importState = "done"
	importFailed    importState = "failed"
	importCancelled importState = "cancelled"
)

// importTransitions are the legal ones.
var importTransitions = map[importState][]importState{
	importOpen:    {importRunning, importCancelled},
	importRunning: {importDone, importFailed, importCancelled},
}

// canBecome reports whether an import may go from one state to another.
func (s importState) canBecome(next importState) bool {
	return slices.Contains(importTransitions[s], next)
}

// ended reports whether nothing more will happen to the import.
func (s importState) ended() bool { return len(importTransitions[s]) == 0 }

var messageImportStates = map[importState]catalogv1.ImportState{
	importOpen:      catalogv1.ImportState_IMPORT_STATE_OPEN,
	importRunning:   catalogv1.ImportState_IMPORT_STATE_RUNNING,
	importDone:      catalogv1.ImportState_IMPORT_STATE_DONE,
	importFailed:    catalogv1.ImportState_IMPORT_STATE_FAILED,
	importCancelled: catalogv1.ImportState_IMPORT_STATE_CANCELLED,
}

// format is what kind of file it is. The words are those of the table.
type format string

const (
	formatCSV   format = "csv"
	formatJSONL format = "jsonl"
)

var messageFormats = map[format]catalogv1.ImportFormat{
	formatCSV:   catalogv1.ImportFormat_IMPORT_FORMAT_CSV,
	formatJSONL: catalogv1.ImportFormat_IMPORT_FORMAT_JSONL,
}

// The bounds of an import.
const (
	// maxFile is how large a file may be, in bytes.
	maxFile = 256 << 20
	// maxImports is how many imports may be under way.
	maxImports = 20
	// maxRow is how long a row may be, in bytes: a product with all that it can have, and room.
	maxRow = 256 << 10
	// maxErrors is how many rows that were wrong are kept.
	maxErrors = 10_000
	// batchProducts is how many products are written at once. Others who write wait for so long.
	batchProducts = 250
	// batchRows is how many rows are looked at for that. It is reached where most of them are wrong.
	batchRows = 5000
	// maxVariants is how many variants a product may have, as the contract says.
	maxVariants = 100
)
