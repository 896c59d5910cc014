/// One block of a SACK option: octets from `start` up to, not including, `end` (RFC 2018 §3).
public struct SACKBlock: Hashable, Sendable {
    /// The first sequence number of the block.
    public var start: SequenceNumber
    /// The sequence number after the last of the block.
    public var end: SequenceNumber

    /// Makes a block.
    @inlinable public init(start: SequenceNumber, end: SequenceNumber) {
        self.start = start
        self.end = end
    }
}

/// The timestamps option (RFC 7323 §3).
public struct TCPTimestamps: Hashable, Sendable {
    /// TSval: the sender's clock.
    public var value: UInt32
    /// TSecr: the receiver's clock, echoed.
    public var echo: UInt32

    /// Makes the option.
    @inlinable public init(value: UInt32, echo: UInt32) {
        self.value = value
        self.echo = echo
    }
}

/// The TCP options of one segment that this stack knows; others are passed over (RFC 9293 MUST-6).
public struct TCPOptions: Sendable {
    /// Maximum segment size, kind 2.
    public var maximumSegmentSize: UInt16?
    /// Window scale shift as received, kind 3; above 14 counts as 14 (RFC 7323 §2.3).
    public var windowScale: UInt8?
    /// SACK permitted, kind 4.
    public var sackPermitted = false
    /// Timestamps, kind 8.
    public var timestamps: TCPTimestamps?
    /// Fast Open, kind 34: it counts on SYNs alone (RFC 7413 §4.1.1).
    public var fastOpen: FastOpenCookie?
    /// Accurate ECN, kinds 172 and 174: it counts on segments of a connection that agreed on it (RFC 9768 §3.2.3).
    public var accurateECN: AccurateECNOption?
    /// SACK blocks in the order of the wire, kind 5; the first `sackCount` count.
    public var sackBlocks: InlineArray<4, SACKBlock> = .init(
        repeating: SACKBlock(start: SequenceNumber(0), end: SequenceNumber(0)))
    /// How many SACK blocks there are: 0...4.
    public var sackCount = 0

    /// No options.
    public init() {}

    /// Adds a SACK block if there is room for another.
    public mutating func appendSACK(_ block: SACKBlock) {
        guard sackCount < 4 else { return }
        sackBlocks[sackCount] = block
        sackCount += 1
    }

    /// Reads the options between the fixed header and the data.
    ///
    /// - Throws: `badOption` when a length is 0, 1 or reaches past the header (RFC 9293 MUST-7).
    public init(parsing bytes: RawSpan) throws(PacketFault) {
        let count = bytes.byteCount
        // RFC 7323 appendix A: nearly every segment is NOP, NOP, timestamps.
        if count == 12, bytes.be32(0) == 0x0101_080A {
            timestamps = TCPTimestamps(value: bytes.be32(4), echo: bytes.be32(8))
            return
        }
        var offset = 0
        while offset < count {
            let kind = bytes.u8(offset)
            if kind == 0 { return }
            if kind == 1 {
                offset &+= 1
                continue
            }
            guard offset &+ 1 < count else { throw .badOption }
            let length = Int(bytes.u8(offset &+ 1))
            guard length >= 2, offset &+ length <= count else { throw .badOption }
            parse(kind, bytes.extracting(offset..<offset &+ length))
            offset &+= length
        }
    }

    private mutating func parse(_ kind: UInt8, _ option: RawSpan) {
        switch (kind, option.byteCount) {
        case (2, 4): maximumSegmentSize = option.be16(2)
        case (3, 3): windowScale = option.u8(2)
        case (4, 2): sackPermitted = true
        case (5, let length) where length >= 10 && (length - 2) % 8 == 0:
            sackCount = 0
            for index in 0..<min(4, (length - 2) / 8) {
                appendSACK(
                    SACKBlock(
                        start: SequenceNumber(option.be32(2 + 8 * index)),
                        end: SequenceNumber(option.be32(6 + 8 * index))))
            }
        case (8, 10): timestamps = TCPTimestamps(value: option.be32(2), echo: option.be32(6))
        // RFC 7413 §4.1.1: one of a wrong length is ignored.
        case (34, let length): if let cookie = FastOpenCookie(option.extracting(2..<length)) { fastOpen = cookie }
        case (AccurateECNOption.kindECT0, _), (AccurateECNOption.kindECT1, _): accurateECN = AccurateECNOption(option)
        default: break
        }
    }

    /// Octets the options take, padded to a multiple of four: at most 40. What finds no room is left out: SACK blocks, the
    /// last ones first, and fields of accurate ECN, or that option (RFC 9768 §3.2.3).
    public var encodedLength: Int {
        let blocks = encodedSACKCount
        return lengthBesidesSACK + (blocks > 0 ? 4 + 8 * blocks : 0)
    }

    /// RFC 2018 §3: 40 octets hold four blocks, three beside timestamps.
    private var encodedSACKCount: Int { min(sackCount, (40 - 4 - lengthBesidesSACK) / 8) }

    private var lengthBesidesSACK: Int {
        var length = 0
        if maximumSegmentSize != nil { length += 4 }
        if sackPermitted && timestamps == nil { length += 4 }
        if timestamps != nil { length += 12 }
        if windowScale != nil { length += 4 }
        if let fastOpen { length += fastOpen.encodedLength }
        if let accurateECN { length += accurateECN.fitting(40 - length)?.encodedLength ?? 0 }
        return length
    }

    /// Writes the options at `start`; `encodedLength` octets there belong to them. The order on a SYN is MSS, SACK
    /// permitted, timestamps, window scale, Fast Open, accurate ECN, with NOPs where they keep the next option on a word.
    public func write(to packet: inout MutableRawSpan, at start: Int) {
        var offset = start
        if let maximumSegmentSize {
            packet.put32(0x0204_0000 | UInt32(maximumSegmentSize), at: offset)
            offset += 4
        }
        if let timestamps {
            packet.put32(sackPermitted ? 0x0402_080A : 0x0101_080A, at: offset)
            packet.put32(timestamps.value, at: offset + 4)
            packet.put32(timestamps.echo, at: offset + 8)
            offset += 12
        } else if sackPermitted {
            packet.put32(0x0101_0402, at: offset)
            offset += 4
        }
        if let windowScale {
            packet.put32(0x0103_0300 | UInt32(windowScale), at: offset)
            offset += 4
        }
        if let fastOpen {
            fastOpen.write(to: &packet, at: offset)
            offset += fastOpen.encodedLength
        }
        if let accurateECN = accurateECN?.fitting(40 - (offset - start)) {
            accurateECN.write(to: &packet, at: offset)
            offset += accurateECN.encodedLength
        }
        let blocks = encodedSACKCount
        if blocks > 0 {
            packet.put32(0x0101_0500 | UInt32(2 + 8 * blocks), at: offset)
            offset += 4
            for index in 0..<blocks {
                packet.put32(sackBlocks[index].start.rawValue, at: offset)
                packet.put32(sackBlocks[index].end.rawValue, at: offset + 4)
                offset += 8
            }
        }
    }
}
