internal import TCPSockets
internal import TCPWire

extension Runner {
    // MARK: In

    /// Sends a packet of the script to the stack.
    func inject(_ pattern: PacketPattern) throws(Stop) {
        var ends: (source: IPAddress, destination: IPAddress)?
        for header in pattern.headers {
            guard case .ip(let source, let destination) = header, pattern.headers.count == 1 else {
                throw .unavailable("packets within other headers do not enter this stack")
            }
            ends = (source, destination)
        }
        switch pattern.transport {
        case .tcp(var segment):
            let index = conversation(for: segment.ports, ends)
            if segment.flags.contains(.syn) { conversations[index].peerInitial = segment.start ?? 0 }
            if case .list(let list) = segment.options {
                segment.options = .list(try list.map { option throws(Stop) in try known(option, index) })
            }
            kernel.inject(
                PacketBuilder.segment(segment, network: pattern.network, in: conversations[index]))
        case .udp(let datagram):
            let index = conversation(for: datagram.ports, ends)
            kernel.inject(
                PacketBuilder.datagram(
                    length: datagram.length, from: conversations[index].remote, to: conversations[index].local,
                    pattern.network))
        case .icmp(let message):
            let index = conversation(for: nil, ends)
            guard let packet = PacketBuilder.icmp(message, network: pattern.network, in: conversations[index]) else {
                throw .failed(
                    reason: "\(message.type) \(message.code ?? "") is no message of this version of ICMP", got: nil)
            }
            kernel.inject(packet)
        }
    }

    /// TFO_COOKIE is the cookie that the stack has for the peer.
    private func known(_ option: OptionPattern, _ index: Int) throws(Stop) -> OptionPattern {
        if option == .experimentalFastOpen(nil) {
            throw .unavailable("the experimental form of TCP Fast Open is not here, so there is no cookie to send")
        }
        guard option == .fastOpen(nil) else { return option }
        guard
            let cookie = kernel.fastOpenCookie(
                client: conversations[index].remote.address, server: conversations[index].local.address)
        else { throw .unavailable("the stack does not tell its TCP Fast Open cookies") }
        return .fastOpen(cookie)
    }

    /// The conversation a packet of the peer's belongs to, made when there is none yet.
    private func conversation(
        for ports: SegmentPattern.Ports?, _ ends: (source: IPAddress, destination: IPAddress)?
    ) -> Int {
        if ports == nil, ends == nil, let current { return current }
        let known = current.map { conversations[$0] }
        let local = Endpoint(
            ends?.destination ?? known?.local.address ?? environment.local,
            ports?.destination ?? known?.local.port ?? listeningPort)
        let remote = Endpoint(
            ends?.source ?? known?.remote.address ?? environment.remote,
            ports?.source ?? known?.remote.port ?? UInt16(49_152 + conversations.count))
        if let index = conversations.firstIndex(where: { $0.local == local && $0.remote == remote }) { return index }
        conversations.append(Conversation(local: local, remote: remote))
        if current == nil { current = conversations.count - 1 }
        return conversations.count - 1
    }

    // MARK: Out

    /// The packet to compare with `pattern`: the next one that left, with those behind it that continue its data, as far as the
    /// pattern's length goes. Other systems hand such a train to the device as one.
    func next(_ pattern: PacketPattern, before limit: Instant) throws(Stop) -> Observation? {
        guard var first = try take(pattern, before: limit) else { return nil }
        guard case .tcp(let expected) = pattern.transport, case .tcp(var segment) = first.content else { return first }
        while segment.payload.count > 0, segment.payload.count < expected.length,
            let second = try take(pattern, before: limit)
        {
            guard case .tcp(let more) = second.content, segment.isContinued(by: more),
                first.source == second.source, first.destination == second.destination,
                second.network == first.network, segment.payload.count + more.payload.count <= expected.length
            else {
                waiting.insert(second, at: 0)
                break
            }
            segment.payload += more.payload
            segment.count += 1
            segment.header.flags.formUnion(more.header.flags)
            first.time = second.time
            first.content = .tcp(segment)
        }
        return first
    }

    /// The next packet that left and that the script can speak of: the answer to a ping is none unless it asks for one.
    private func take(_ pattern: PacketPattern, before limit: Instant) throws(Stop) -> Observation? {
        if !waiting.isEmpty { return waiting.removeFirst() }
        while let packet = kernel.packet(before: limit) {
            guard let observation = Observation(packet.octets, at: packet.time) else {
                throw .failed(
                    reason: "what left at \(clock(packet.time)) is no packet, or has a wrong checksum", got: nil)
            }
            if case .tcp = observation.content { return observation }
            if case .tcp = pattern.transport { continue }
            return observation
        }
        return nil
    }

    func compare(_ observation: Observation, _ pattern: PacketPattern) throws(Stop) {
        func fail(_ reason: String) -> Stop { .failed(reason: reason, got: text(of: observation, expected: pattern)) }
        for case .ip(let source, let destination) in pattern.headers
        where source != observation.source || destination != observation.destination {
            throw fail("the packet goes from \(observation.source) to \(observation.destination)")
        }
        switch (observation.content, pattern.transport) {
        case (.tcp(let segment), .tcp(let expected)):
            let index = conversation(of: observation, segment)
            if segment.header.flags.contains(.syn), expected.flags.contains(.syn) {
                conversations[index].learn(initial: segment.header.sequence, start: expected.start ?? 0)
            }
            learnTimestamp(segment, expected, index)
            if let fault = matcher.fault(
                in: segment, segments: segment.count, expected: expected, conversation: conversations[index])
            {
                throw fail(fault)
            }
            try checkPayload(segment, index, fail)
        case (.udp(let ports, let length), .udp(let expected)):
            if let wanted = expected.ports, wanted != ports { throw fail("the ports are \(ports.text)") }
            guard length == expected.length else { throw fail("the length is \(length), not \(expected.length)") }
        case (.icmp(let type, let code), .icmp(let expected)):
            let isIPv4 = observation.source.isIPv4
            guard type == ICMPNames.type(expected.type, isIPv4: isIPv4),
                expected.code.map({ ICMPNames.code($0, type: expected.type, isIPv4: isIPv4) == code }) ?? true
            else { throw fail("the message has type \(type), code \(code)") }
        default: throw fail("another protocol was expected")
        }
        if let fault = matcher.fault(in: observation.network, expected: pattern.network) { throw fail(fault) }
    }

    private func learnTimestamp(_ segment: Observation.Segment, _ expected: SegmentPattern, _ index: Int) {
        guard case .list(let wanted) = expected.options else { return }
        for case .timestamps(let value?, _) in wanted {
            for case .timestamps(let wire?, _) in segment.options {
                conversations[index].learn(timestamp: wire, as: value)
            }
        }
    }

    /// The conversation a segment of the stack's belongs to.
    private func conversation(of observation: Observation, _ segment: Observation.Segment) -> Int {
        let local = Endpoint(observation.source, segment.header.sourcePort)
        let remote = Endpoint(observation.destination, segment.header.destinationPort)
        if let index = conversations.firstIndex(where: { $0.local == local && $0.remote == remote }) {
            if current == nil { current = index }
            return index
        }
        conversations.append(Conversation(local: local, remote: remote))
        let index = conversations.count - 1
        let isAwaited = segment.header.flags.contains(.syn) && remote == expectedPeer
        if isAwaited { expectedPeer = nil }
        if isAwaited || current == nil { current = index }
        return index
    }

    /// Every octet of the stream is known; one that is not what was written is worse than any header.
    private func checkPayload(
        _ segment: Observation.Segment, _ index: Int, _ fail: (String) -> Stop
    ) throws(Stop) {
        guard !segment.payload.isEmpty, conversations[index].isBaseKnown, !hasForeignOctets else { return }
        let syn: UInt32 = segment.header.flags.contains(.syn) ? 1 : 0
        let place = Int(Int32(bitPattern: conversations[index].script(segment.header.sequence) &+ syn &- 1))
        // A keep-alive probe may carry an octet that was acknowledged long ago, or one of no meaning.
        guard place >= 0, let fault = Payload.firstFault(in: segment.payload, from: place) else { return }
        throw fail("octet \(fault + 1) of the stream is not the one that was written")
    }

    /// An observation in the script's notation, as much of it as the pattern speaks of.
    func text(of observation: Observation, expected: PacketPattern?) -> String {
        var pattern: PacketPattern
        let origin = SourcePosition(line: 1, column: 1)
        switch observation.content {
        case .tcp(let segment):
            var wanted: SegmentPattern?
            if case .tcp(let segment)? = expected?.transport { wanted = segment }
            let local = Endpoint(observation.source, segment.header.sourcePort)
            let remote = Endpoint(observation.destination, segment.header.destinationPort)
            let conversation =
                conversations.first { $0.local == local && $0.remote == remote }
                ?? Conversation(local: local, remote: remote)
            pattern = PacketPattern(
                position: origin, direction: .outbound,
                transport: .tcp(Matcher.pattern(of: segment, expected: wanted, in: conversation)))
        case .udp(let ports, let length):
            pattern = PacketPattern(
                position: origin, direction: .outbound,
                transport: .udp(DatagramPattern(ports: ports, length: length)))
        case .icmp(let type, let code):
            pattern = PacketPattern(
                position: origin, direction: .outbound,
                transport: .icmp(ICMPPattern(type: "type_\(type)", code: "code_\(code)")))
        case .other(let number): return "\(clock(observation.time)) a packet of protocol \(number)"
        }
        if let wanted = expected?.network {
            if wanted.ecn != nil { pattern.network.ecn = observation.network.ecn }
            if wanted.trafficClass != nil { pattern.network.trafficClass = observation.network.trafficClass }
            if wanted.hopLimit != nil { pattern.network.hopLimit = observation.network.hopLimit }
        }
        return "\(clock(observation.time)) \(pattern.text)"
    }

    /// Fails when a packet has left that no line of the script expected.
    func expectSilence() throws(Stop) {
        let pattern = PacketPattern(
            position: SourcePosition(line: 1, column: 1), direction: .outbound,
            transport: .tcp(SegmentPattern(flags: [])))
        guard let observation = try take(pattern, before: kernel.now) else { return }
        throw .failed(
            reason: "a packet left that the script does not expect", got: text(of: observation, expected: nil))
    }
}

extension Observation.Segment {
    /// Whether `next` continues this segment's data, so that one segment could have carried both.
    func isContinued(by next: Observation.Segment) -> Bool {
        let varying: TCPFlags = [.psh, .fin]
        return next.payload.count > 0 && !header.flags.contains(.syn) && !header.flags.contains(.fin)
            && next.header.sequence == header.sequence + payload.count
            && next.header.acknowledgment == header.acknowledgment && next.header.window == header.window
            && next.header.flags.subtracting(varying) == header.flags.subtracting(varying) && next.options == options
    }
}
