/// A TCP header, read or to be written (RFC 9293 §3.1).
public struct TCPHeader: Sendable {
    /// The sender's port.
    public var sourcePort: UInt16
    /// The receiver's port.
    public var destinationPort: UInt16
    /// SEG.SEQ.
    public var sequence: SequenceNumber
    /// SEG.ACK; significant with ACK set.
    public var acknowledgment: SequenceNumber
    /// The control bits.
    public var flags: TCPFlags
    /// The window field as on the wire, not scaled.
    public var window: UInt16
    /// The urgent pointer; significant with URG set.
    public var urgentPointer: UInt16
    /// The options.
    public var options: TCPOptions
    /// Octets of the header with its options: 20...60.
    public var headerLength: Int

    /// A header to send.
    public init(
        sourcePort: UInt16, destinationPort: UInt16, sequence: SequenceNumber,
        acknowledgment: SequenceNumber = SequenceNumber(0), flags: TCPFlags, window: UInt16 = 0,
        urgentPointer: UInt16 = 0, options: TCPOptions = TCPOptions()
    ) {
        self.sourcePort = sourcePort
        self.destinationPort = destinationPort
        self.sequence = sequence
        self.acknowledgment = acknowledgment
        self.flags = flags
        self.window = window
        self.urgentPointer = urgentPointer
        self.options = options
        headerLength = 20 + options.encodedLength
    }

    /// Reads the header at the start of `segment`. The checksum is `isChecksumValid`'s business.
    ///
    /// - Throws: `truncated`, `badHeaderLength` (a data offset below five or past the end), `badOption`.
    public init(parsing segment: RawSpan) throws(PacketFault) {
        guard segment.byteCount >= 20 else { throw .truncated }
        let word = segment.be16(12)
        let headerLength = Int(word &>> 12) &* 4
        guard headerLength >= 20, headerLength <= segment.byteCount else { throw .badHeaderLength }
        sourcePort = segment.be16(0)
        destinationPort = segment.be16(2)
        sequence = SequenceNumber(segment.be32(4))
        acknowledgment = SequenceNumber(segment.be32(8))
        // Reserved bits are ignored: a SYN with any of them is still a SYN.
        flags = TCPFlags(rawValue: word & 0x1FF)
        window = segment.be16(14)
        urgentPointer = segment.be16(18)
        self.headerLength = headerLength
        options =
            headerLength == 20 ? TCPOptions() : try TCPOptions(parsing: segment.extracting(20..<headerLength))
    }

    /// Whether the checksum over pseudo-header, header and data is right (RFC 9293 MUST-3).
    public static func isChecksumValid(_ segment: RawSpan, source: IPAddress, destination: IPAddress) -> Bool {
        var checksum = Checksum()
        checksum.add(segment)
        checksum.addPseudoHeader(
            source: source, destination: destination, protocol: IPProtocol.tcp, length: segment.byteCount)
        return checksum.value == 0
    }

    /// Writes header and options at `offset` with a checksum field of zero, and says how long they are.
    @discardableResult
    public func write(to packet: inout MutableRawSpan, at offset: Int) -> Int {
        let length = 20 + options.encodedLength
        packet.put16(sourcePort, at: offset)
        packet.put16(destinationPort, at: offset + 2)
        packet.put32(sequence.rawValue, at: offset + 4)
        packet.put32(acknowledgment.rawValue, at: offset + 8)
        packet.put16(UInt16(length / 4) &<< 12 | flags.rawValue & 0x1FF, at: offset + 12)
        packet.put16(window, at: offset + 14)
        packet.put16(0, at: offset + 16)
        packet.put16(urgentPointer, at: offset + 18)
        options.write(to: &packet, at: offset + 20)
        return length
    }

    /// Fills in the checksum of a segment that lies in `range` of `packet`. `partial` leaves the rest to the device: only
    /// the pseudo-header is summed, as checksum offload wants it.
    public static func writeChecksum(
        in packet: inout MutableRawSpan, range: Range<Int>, source: IPAddress, destination: IPAddress, partial: Bool
    ) {
        var checksum = Checksum()
        checksum.addPseudoHeader(
            source: source, destination: destination, protocol: IPProtocol.tcp, length: range.count)
        if !partial { checksum.add(packet.bytes.extracting(range)) }
        packet.put16(partial ? checksum.folded : checksum.value, at: range.lowerBound + 16)
    }
}
