internal import TCPWire

/// Compares what the stack sent with what the script says.
struct Matcher {
    /// Nanoseconds a tick of the stack's timestamp clock takes; zero does not compare timestamps.
    var timestampTick: Int64 = 0
    /// How far a timestamp may be off, in nanoseconds.
    var timestampTolerance: Int64 = 0
    /// Linux sets PSH on every train of segments that it hands the device as one, so that the receiver's offload passes it on at
    /// once; where there is no offload that bit is not missing.
    var marksTrains = false

    /// Says what is wrong with a segment, or with `segments` of them compared as one; `nil` when it is as expected.
    func fault(
        in segment: Observation.Segment, segments: Int = 1, expected: SegmentPattern, conversation: Conversation
    ) -> String? {
        var got = Matcher.pattern(of: segment, expected: expected, in: conversation)
        if marksTrains, segments > 1, expected.flags.contains(.psh) { got.flags.insert(.psh) }
        if let ports = expected.ports, ports != got.ports { return "the ports are \(got.ports?.text ?? "others")" }
        let mask: TCPFlags = expected.ace == nil ? [] : [.ae, .cwr, .ece]
        guard expected.flags.subtracting(mask) == got.flags.subtracting(mask), expected.ace == got.ace else {
            return "the flags are \(got.flagsText), not \(expected.flagsText)"
        }
        if let start = expected.start, start != got.start {
            return "the sequence number is \(got.start ?? 0), not \(start)"
        }
        if expected.length != got.length { return "the length is \(got.length), not \(expected.length)" }
        // RFC 9293 §3.1: without ACK the field means nothing.
        if let acknowledgment = expected.acknowledgment, expected.flags.contains(.ack),
            got.acknowledgment != acknowledgment
        {
            return "the acknowledgment number is \(got.acknowledgment ?? 0), not \(acknowledgment)"
        }
        if let window = expected.window, got.window != window {
            return "the window is \(got.window ?? 0), not \(window)"
        }
        if let urgent = expected.urgent, got.urgent != urgent {
            return "the urgent pointer is \(got.urgent ?? 0), not \(urgent)"
        }
        if case .list(let wanted) = expected.options, case .list(let options) = got.options {
            return fault(in: options, expected: wanted)
        }
        return nil
    }

    private func fault(in options: [OptionPattern], expected: [OptionPattern]) -> String? {
        guard options.count == expected.count else { return "the options differ" }
        for (option, wanted) in zip(options, expected) {
            switch (option, wanted) {
            case (.timestamps(let value?, let echo?), .timestamps(let wantedValue, let wantedEcho)):
                if let wantedEcho, echo != wantedEcho { return "the echoed timestamp is \(echo), not \(wantedEcho)" }
                guard let wantedValue, timestampTick > 0 else { continue }
                let distance = Int64(Int32(bitPattern: value &- wantedValue)).magnitude
                let (nanoseconds, overflow) = distance.multipliedReportingOverflow(by: timestampTick.magnitude)
                if overflow || nanoseconds > timestampTolerance.magnitude {
                    return "the timestamp is \(value), not \(wantedValue)"
                }
            case (.fastOpen, .fastOpen(nil)), (.experimentalFastOpen, .experimentalFastOpen(nil)): continue
            default:
                if option != wanted { return "the option \(option.text) stands where \(wanted.text) was expected" }
            }
        }
        return nil
    }

    /// Says what is wrong with the IP header; `nil` when it is as expected.
    func fault(in network: NetworkPattern, expected: NetworkPattern) -> String? {
        if let ecn = expected.ecn, ecn != network.ecn {
            let isEither = ecn == .capable && (network.ecn == .capable0 || network.ecn == .capable1)
            if !isEither { return "the ECN field is \(network.ecn?.rawValue ?? "none"), not \(ecn.rawValue)" }
        }
        if let wanted = expected.trafficClass, network.trafficClass != wanted {
            return "the type of service is \(network.trafficClass ?? 0), not \(wanted)"
        }
        if let wanted = expected.hopLimit, network.hopLimit != wanted {
            return "the time to live is \(network.hopLimit ?? 0), not \(wanted)"
        }
        if let wanted = expected.flowLabel, network.flowLabel != wanted {
            return "the flow label is \(network.flowLabel ?? 0), not \(wanted)"
        }
        if let wanted = expected.dontFragment, network.dontFragment != wanted {
            return wanted ? "the packet may be fragmented" : "the packet may not be fragmented"
        }
        return nil
    }

    /// A segment of the stack's in the script's notation and numbers, with as much of it told as the expectation asks for.
    static func pattern(
        of segment: Observation.Segment, expected: SegmentPattern?, in conversation: Conversation
    ) -> SegmentPattern {
        let header = segment.header
        let start = conversation.script(header.sequence)
        var flags = header.flags
        var ace: UInt8?
        if expected?.ace != nil {
            ace = UInt8(truncatingIfNeeded: flags.rawValue >> 6 & 7)
            flags.subtract([.ae, .cwr, .ece])
        }
        var pattern = SegmentPattern(
            flags: flags, ace: ace, start: start, end: start &+ UInt32(truncatingIfNeeded: segment.payload.count),
            length: segment.payload.count)
        if expected?.ports != nil {
            pattern.ports = .init(source: header.sourcePort, destination: header.destinationPort)
        }
        if flags.contains(.ack) { pattern.acknowledgment = header.acknowledgment.rawValue }
        pattern.window = header.window
        if flags.contains(.urg) || expected?.urgent != nil { pattern.urgent = header.urgentPointer }
        pattern.options = .list(
            segment.options.map { option in
                guard case .timestamps(let value?, let echo) = option else { return option }
                return .timestamps(value: conversation.scriptTimestamp(value), echo: echo)
            })
        return pattern
    }
}
