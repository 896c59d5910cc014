internal import TCPEngine
public import TCPTrace
package import TCPWire

extension Simulation {
    /// Puts a packet into the network as if it came from `name`, to arrive at `node` after `delay`.
    public func inject(
        _ bytes: [UInt8], to node: SimulatedNode, from name: String, after delay: Duration = .zero
    ) {
        var packet = Packet(bytes: bytes, length: bytes.count, destination: node)
        let arrival = now + delay
        record(&packet, from: name, fate: .delivered, origin: .injected, arrival: arrival.nanoseconds)
        queue.push(.delivery, slot: packets.insert(packet), at: arrival.nanoseconds)
    }

    /// Lets a held packet go on; it arrives now. Its number counts from 0 in `heldPackets`.
    package func releaseHeld(at index: Int) {
        let held = heldPackets.remove(at: index)
        settle(held.packet, .delivered, at: now)
        deliver(held.packet)
    }

    /// Lets a copy of a held packet arrive now; the packet itself goes on waiting.
    package func duplicateHeld(at index: Int) { deliver(heldPackets[index].packet) }

    /// Loses a held packet.
    package func dropHeld(at index: Int) {
        let held = heldPackets.remove(at: index)
        settle(held.packet, .lost, at: nil)
    }

    /// Lets time pass with nothing happening, for who plays the network.
    package func setTime(_ time: Instant) { now = max(now, time) }

    /// Changes the rate of a direction, in bits a second; `nil` is no limit. What waits in front of it leaves at the new one.
    public func setRate(_ rate: Double?, of direction: LinkDirection) {
        let later = direction.changeRate(to: rate, at: now)
        queue.reschedule(.delivery) { entry in
            guard let packet = packets[Int(entry.slot)], packet.direction === direction else { return nil }
            let shift = later(packet.departure)
            packets[Int(entry.slot)]?.departure &+= shift
            var time = entry.time &+ shift
            if direction.keepsOrder, !packet.isApart { time = direction.inOrder(time) }
            if packet.traceIndex >= 0, trace.segments[packet.traceIndex].arrival != nil {
                trace.segments[packet.traceIndex].arrival = Instant(nanoseconds: time)
            }
            return time
        }
        guard direction.isAwaited else { return }
        direction.isAwaited = false
        queue.push(.room, slot: direction.index, at: now.nanoseconds)
    }

    func takeBuffer(_ size: Int) -> [UInt8] {
        if let buffer = freeBuffers.popLast(), buffer.count >= size { return buffer }
        return [UInt8](repeating: 0, count: size)
    }

    func returnBuffer(_ buffer: consuming [UInt8]) {
        if freeBuffers.count < 4096 { freeBuffers.append(buffer) }
    }

    func awaitRoom(on direction: LinkDirection, for length: Int) {
        guard !direction.isAwaited else { return }
        direction.isAwaited = true
        queue.push(.room, slot: direction.index, at: direction.timeOfRoom(for: length, at: now))
    }

    /// Sends a packet of `node` over the link towards its destination.
    func transmit(_ packet: consuming Packet, from node: SimulatedNode) {
        var packet = packet
        guard let contents = PacketContents(packet) else { return }
        guard let direction = node.link(towards: contents.ip.destination), let destination = direction.destination
        else {
            record(&packet, from: node.name, fate: .unreachable, origin: .host, arrival: nil)
            return
        }
        packet.direction = direction
        packet.destination = destination
        packet.epoch = direction.epoch
        let passage = direction.offer(
            &packet.bytes, contents.header, payloadLength: contents.payloadLength, length: packet.length, at: now)
        let (time, fate): (Int64, PacketFate)
        switch passage {
        case .arrives(let departure, let arrival, let how):
            packet.departure = departure
            packet.isApart = how.extraDelay > .zero
            (time, fate) = (arrival, how)
        case .isLost(let why):
            record(&packet, from: node.name, fate: why, origin: .host, arrival: nil)
            return returnBuffer(packet.bytes)
        }
        if fate.isCorrupted {
            record(&packet, from: node.name, fate: .corrupted, origin: .host, arrival: nil)
            packet.finishChecksum()
            direction.corrupt(&packet.bytes, length: packet.length)
        } else {
            record(&packet, from: node.name, fate: .delivered, origin: .host, arrival: fate.isHeld ? nil : time)
        }
        if fate.isHeld {
            heldPackets.append(HeldPacket(packet: packet))
            return
        }
        for copy in fate.copies {
            var duplicate = packet
            duplicate.isApart = true
            let later = Instant(nanoseconds: time) + copy
            if !fate.isCorrupted {
                record(&duplicate, from: node.name, fate: .delivered, origin: .copy, arrival: later.nanoseconds)
            }
            queue.push(.delivery, slot: packets.insert(duplicate), at: later.nanoseconds)
        }
        queue.push(.delivery, slot: packets.insert(packet), at: time)
    }

    func deliver(_ packet: Packet) {
        let isCutOff = packet.direction.map { $0.epoch != packet.epoch || $0.isCut } ?? false
        guard !isCutOff, packet.destination.isReachable else {
            packet.direction?.lost += 1
            settle(packet, .unreachable, at: nil)
            return returnBuffer(packet.bytes)
        }
        if packet.traceIndex >= 0, trace.segments[packet.traceIndex].isDelivered {
            trace.events.append(.arrived(packet.traceIndex))
        }
        packet.destination.receive(packet)
        returnBuffer(packet.bytes)
    }

    // MARK: Tracing

    /// Adds a packet that is sent now to the trace.
    private func record(
        _ packet: inout Packet, from name: String, fate: TracedSegment.Fate, origin: TracedSegment.Origin,
        arrival: Int64?
    ) {
        guard isTracing || observer != nil else { return }
        guard let contents = PacketContents(packet), let header = contents.header else { return }
        let (ip, length) = (contents.ip, contents.payloadLength)
        segmentCount += 1
        let segment = TracedSegment(
            number: segmentCount, sent: now, arrival: arrival.map(Instant.init(nanoseconds:)), from: name,
            to: packet.destination.name, source: Endpoint(ip.source, header.sourcePort),
            destination: Endpoint(ip.destination, header.destinationPort), header: header, length: length, fate: fate,
            origin: origin, segments: packet.segmentSize > 0 ? max(1, (length - 1) / packet.segmentSize + 1) : 1)
        let event = TraceEvent.sent(trace.segments.count)
        observer?(event, segment)
        guard isTracing else { return }
        packet.traceIndex = trace.segments.count
        trace.segments.append(segment)
        trace.events.append(event)
    }

    private func settle(_ packet: Packet, _ fate: TracedSegment.Fate, at arrival: Instant?) {
        guard packet.traceIndex >= 0, trace.segments[packet.traceIndex].fate != .corrupted else { return }
        trace.segments[packet.traceIndex].fate = fate
        trace.segments[packet.traceIndex].arrival = arrival
    }

    /// Adds a change of state or an action to the trace; ends that a script plays call it for themselves.
    public func record(_ event: TraceEvent) {
        observer?(event, nil)
        if isTracing { trace.events.append(event) }
    }
}
