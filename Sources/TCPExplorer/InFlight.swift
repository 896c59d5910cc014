internal import TCPEngine
internal import TCPWire

/// A packet on its way.
struct InFlight {
    var bytes: [UInt8]
    /// The end it goes to.
    var destination: Int
    /// What is left of its life, in eighths of the MSL: time that passes counts as whole eighths, so that no packet lives
    /// longer than the MSL.
    var life: Int64 = InFlight.lifetime
    /// Its place in the trace that is drawn, if one is.
    var number = 0

    static let lifetime: Int64 = 8

    /// Octets of the IPv4 header.
    static let networkHeader = 20

    var isSyn: Bool { flags & 2 != 0 }
    var flags: UInt8 { bytes[InFlight.networkHeader + 13] }

    var header: TCPHeader? {
        try? TCPHeader(parsing: bytes.span.bytes.extracting(InFlight.networkHeader..<bytes.count))
    }

    /// SEG.SEQ.
    var sequence: SequenceNumber { SequenceNumber(bytes.span.bytes.be32(InFlight.networkHeader + 4)) }

    /// The packet as it is counted among those on their way. `origin` is the sender's.
    func fingerprint(_ origin: Fingerprint.Origin) -> Fingerprint {
        var hash = Fingerprint()
        hash.add(UInt64(destination) | UInt64(life) &<< 8)
        guard let header else { return hash }
        hash.add(UInt64(header.flags.rawValue) | UInt64(header.window) &<< 16 | UInt64(header.urgentPointer) &<< 32)
        hash.add(
            origin.local(header.sequence)
                | (header.flags.contains(.ack) ? origin.remote(header.acknowledgment) : 0) &<< 32)
        if let timestamps = header.options.timestamps {
            // An echo of zero is no echo.
            hash.add(
                UInt64(timestamps.value &- origin.clock)
                    | UInt64(timestamps.echo == 0 ? .max : timestamps.echo &- origin.clock) &<< 32)
        }
        for index in 0..<header.options.sackCount {
            let block = header.options.sackBlocks[index]
            hash.add(origin.remote(block.start) | origin.remote(block.end) &<< 32)
        }
        hash.add(
            UInt64(header.options.sackCount) | (header.options.sackPermitted ? 16 : 0)
                | UInt64(header.options.windowScale ?? 255) &<< 8
                | UInt64(header.options.maximumSegmentSize ?? 0) &<< 16)
        hash.add(bytes.span.bytes.extracting(InFlight.networkHeader + header.headerLength..<bytes.count))
        return hash
    }
}
