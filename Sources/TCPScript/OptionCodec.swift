internal import TCPWire

/// TCP options between the wire and the script's notation, in the order they stand.
enum OptionCodec {
    /// The options as octets. SACK blocks and echoed timestamps are written as they are: mapping is the conversation's business.
    static func octets(of options: [OptionPattern]) -> [UInt8] {
        var result: [UInt8] = []
        for option in options {
            switch option {
            case .end: result.append(0)
            case .noOperation: result.append(1)
            case .maximumSegmentSize(let size): add(2, [UInt8(size >> 8), UInt8(size & 255)], &result)
            case .windowScale(let shift): add(3, [shift], &result)
            case .sackPermitted: add(4, [], &result)
            case .sack(let blocks): add(5, blocks.flatMap { word($0.start) + word($0.end) }, &result)
            case .timestamps(let value, let echo): add(8, word(value ?? 0) + word(echo ?? 0), &result)
            case .fastOpen(let cookie): add(34, cookie ?? [], &result)
            case .experimentalFastOpen(let cookie): add(254, [0xF9, 0x89] + (cookie ?? []), &result)
            case .md5(let digest): add(19, digest, &result)
            case .accurateECN(let kind, let counters):
                add(kind, counters.flatMap { word($0).dropFirst() }, &result)
            case .other(let kind, let octets): add(kind, octets, &result)
            }
        }
        return result
    }

    private static func add(_ kind: UInt8, _ value: [UInt8], _ result: inout [UInt8]) {
        result += [kind, UInt8(truncatingIfNeeded: value.count + 2)] + value
    }

    private static func word(_ value: UInt32) -> [UInt8] {
        [UInt8(value >> 24), UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255)]
    }

    /// The options in these octets, up to the end of the list or of the octets; what is cut short is left out.
    static func options(in octets: RawSpan) -> [OptionPattern] {
        var options: [OptionPattern] = []
        var offset = 0
        while offset < octets.byteCount {
            let kind = octets.u8(offset)
            if kind < 2 {
                options.append(kind == 0 ? .end : .noOperation)
                offset += 1
                continue
            }
            guard offset + 1 < octets.byteCount else { break }
            let length = Int(octets.u8(offset + 1))
            guard length >= 2, offset + length <= octets.byteCount else { break }
            options.append(option(kind, octets.extracting(offset + 2..<offset + length)))
            offset += length
        }
        return options
    }

    private static func option(_ kind: UInt8, _ value: RawSpan) -> OptionPattern {
        switch (kind, value.byteCount) {
        case (2, 2): return .maximumSegmentSize(value.be16(0))
        case (3, 1): return .windowScale(value.u8(0))
        case (4, 0): return .sackPermitted
        case (5, let count) where count >= 8 && count % 8 == 0:
            return .sack(
                stride(from: 0, to: count, by: 8).map { .init(start: value.be32($0), end: value.be32($0 + 4)) })
        case (8, 8): return .timestamps(value: value.be32(0), echo: value.be32(4))
        case (34, _): return .fastOpen(value.bytes())
        case (19, 16): return .md5(value.bytes())
        case (172, let count) where count % 3 == 0, (174, let count) where count % 3 == 0:
            return .accurateECN(
                kind: kind,
                counters: stride(from: 0, to: count, by: 3).map {
                    UInt32(value.u8($0)) << 16 | UInt32(value.be16($0 + 1))
                })
        case (254, 2...) where value.be16(0) == 0xF989:
            return .experimentalFastOpen(value.extracting(2..<value.byteCount).bytes())
        default: return .other(kind: kind, value.bytes())
        }
    }
}
