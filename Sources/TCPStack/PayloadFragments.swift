/// Where the payload of a packet lies that the link gathers itself, instead of having it copied behind its headers.
@unsafe
public struct PayloadFragments {
    /// Octets of the largest packet that can be gathered.
    public static let largestPacket = 192 << 10
    /// The most fragments of one packet: `largestPacket` in blocks of 2 KiB, the first and the last cut.
    public static let maximumCount = 98

    private var fragments: InlineArray<98, UnsafeRawBufferPointer> = unsafe .init(
        repeating: UnsafeRawBufferPointer(start: nil, count: 0))
    /// How many there are; zero when the payload lies in the buffer.
    public private(set) var count = 0

    /// None.
    public init() {}

    /// One of them, in the order of the wire: 0 ..< `count`.
    public subscript(index: Int) -> UnsafeRawBufferPointer { unsafe fragments[index] }

    mutating func append(_ fragment: UnsafeRawBufferPointer) {
        unsafe fragments[count] = fragment
        unsafe count &+= 1
    }

    mutating func removeAll() { unsafe count = 0 }
}
