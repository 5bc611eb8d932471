package msgpack

// The formats: the first byte of a value. Formats that are named by their smallest size are followed by the larger
// ones: Uint8+1 is uint 16, Str8+2 is str 32, Array16+1 is array 32.
const (
	Nil     = 0xc0
	False   = 0xc2
	True    = 0xc3
	Bin8    = 0xc4 // 16, 32 follow
	Ext8    = 0xc7 // 16, 32 follow
	Float32 = 0xca
	Float64 = 0xcb
	Uint8   = 0xcc // 16, 32, 64 follow
	Uint64  = 0xcf
	Int8    = 0xd0 // 16, 32, 64 follow
	Int64   = 0xd3
	FixExt1 = 0xd4 // 2, 4, 8, 16 follow
	FixExt4 = 0xd6
	FixExt8 = 0xd7
	Str8    = 0xd9 // 16, 32 follow
	Array16 = 0xdc // 32 follows
	Map16   = 0xde // 32 follows

	// The short forms hold a length, or a number, in the bits below.
	FixMap   = 0x80
	FixArray = 0x90
	FixStr   = 0xa0
	FixNeg   = 0xe0 // numbers from MinFixInt to -1
)

// The most that the short forms hold.
const (
	MaxFixMap   = 15
	MaxFixArray = 15
	MaxFixStr   = 31
	MinFixInt   = -32
)

// Timestamp is the extension type of points in time, -1 as a byte.
const Timestamp = 0xff
