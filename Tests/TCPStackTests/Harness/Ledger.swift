import TCPEngine
import TCPStack
import TCPWire
import Testing

/// What holds for every segment the stack sends, in every test.
extension ScriptedPeer {
    func observe(_ segment: Segment) {
        if segment.flags.contains(.syn), stackISN == nil || (history.isEmpty && segment.flags == .syn) {
            stackISN = segment.tcp.sequence
            target = segment.source
        }
        host.log("> \(text(segment))")
        if checksLedger, segment.source == target { hold(segment) }
        if let stamps = segment.tcp.options.timestamps { lastTimestamp = stamps.value }
        let end = relative(segment) + segment.sequenceLength
        // A reset's number is whatever the offending segment acknowledged.
        if !segment.flags.contains(.rst), relative(segment) <= received, end > received { received = end }
        history.append(segment)
        pending.append(segment)
    }

    private func hold(_ segment: Segment) {
        func require(_ holds: Bool, _ rule: String) {
            if !holds { Issue.record("\(rule):\n     got \(text(segment))\n\(host.recentTrace())") }
        }
        require(segment.hasValidChecksum, "every segment has a right checksum (MUST-2)")
        let isSYN = segment.flags.contains(.syn)
        let isRST = segment.flags.contains(.rst)
        require(isSYN || segment.tcp.options.maximumSegmentSize == nil, "no MSS option without SYN (MUST-65)")
        require(isSYN || segment.tcp.options.windowScale == nil, "no window scale option without SYN (RFC 7323 §2.2)")
        require(isSYN || !segment.tcp.options.sackPermitted, "no SACK-permitted option without SYN (RFC 2018 §2)")
        require(endIsPadded(segment.optionBytes), "zeros after the end of the options (MUST-69)")
        require(segment.ip.destination == endpoint.address, "the destination stays (MUST-45)")
        guard !isRST, let base = stackISN else { return }
        if usesTimestamps {
            require(segment.tcp.options.timestamps != nil, "timestamps on every segment (RFC 7323 §3.2)")
        } else if !isSYN {
            require(segment.tcp.options.timestamps == nil, "no timestamps unless both SYNs had them (RFC 7323 §3.2)")
        }
        if !isSYN { require(segment.flags.contains(.ack), "ACK is set once the connection is there (RFC 9293 §3.1)") }
        let start = segment.tcp.sequence.distance(from: base) + (isSYN ? 1 : 0)
        for (index, octet) in segment.payload.enumerated() where octet != writtenOctet(start + index) {
            // A probe of an octet outside the stream may carry garbage (MAY-6); it lies below what was acknowledged.
            if start + index < 1 || start + index < received { break }
            require(false, "the octet at \(start + index) is what the program wrote there")
            break
        }
        // What goes with a SYN knows no window yet (RFC 7413 §4.2.1).
        if segment.length > 1, !isSYN {
            let scaledEdge = max(offeredEdge, 0)
            require(
                start + segment.length <= scaledEdge + 1, "no data past the window the peer offered (\(scaledEdge))")
        }
        holdWindow(segment, isSYN: isSYN, require)
    }

    private func holdWindow(_ segment: Segment, isSYN: Bool, _ require: (Bool, String) -> Void) {
        guard segment.flags.contains(.ack), segment.source.port == target.port else { return }
        let edge = relativeAcknowledgment(segment) + Int(segment.tcp.window) << (isSYN ? 0 : stackShift)
        if let grantedEdge, !isSYN {
            // RFC 7323 §2.4: rounding to the window's unit may take back less than one unit.
            let rounding = 1 << stackShift - 1
            require(
                edge >= grantedEdge - rounding, "the right edge \(grantedEdge) is not taken back to \(edge) (SHLD-14)")
        }
        grantedEdge = max(grantedEdge ?? edge, edge)
    }

    private func endIsPadded(_ options: [UInt8]) -> Bool {
        var index = 0
        while index < options.count {
            switch options[index] {
            case 0: return options[index...].allSatisfy { $0 == 0 }
            case 1: index += 1
            default:
                guard index + 1 < options.count, options[index + 1] >= 2 else { return false }
                index += Int(options[index + 1])
            }
        }
        return index == options.count
    }
}
