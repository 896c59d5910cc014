import TCPEngine
public import TCPWire

// The device has room: the next frame.
extension EthernetLink {
    /// Whether `transmit` is worth a call.
    public func wantsToTransmit(_ stack: borrowing Stack) -> Bool {
        !output.isEmpty || stack.wantsToTransmit(on: interface)
    }

    /// Writes the next frame into `buffer`, which must hold 14 octets more than the stack asks for; `nil` when there is
    /// nothing to send now. What it says of the packet is told as it lies in the frame. A packet whose next hop is known
    /// is written where it leaves from; another is copied, and waits.
    public mutating func transmit(
        into buffer: inout MutableRawSpan, from stack: inout Stack, at now: Instant
    ) -> TransmittedPacket? {
        clock(now, &stack)
        guard buffer.byteCount > EthernetHeader.length else { return nil }
        while true {
            if !output.isEmpty, let packet = transmitOwn(into: &buffer, &stack) { return packet }
            var room = buffer._mutatingExtracting(EthernetHeader.length..<buffer.byteCount)
            guard var packet = stack.transmit(into: &room, on: interface, at: self.now) else { return nil }
            packet.length &+= EthernetHeader.length
            packet.headerLength &+= EthernetHeader.length
            packet.transportOffset &+= EthernetHeader.length
            let isIPv4 = buffer.bytes.u8(EthernetHeader.length) &>> 4 == 4
            guard let hardware = hardware(for: packet, isIPv4: isIPv4, buffer.bytes, &stack) else { continue }
            EthernetHeader(destination: hardware, source: address, payload: isIPv4 ? .ipv4 : .ipv6).write(to: &buffer)
            counts.framesSent &+= 1
            return packet
        }
    }

    /// The oldest frame that waits for the device, if the buffer holds it.
    private mutating func transmitOwn(into buffer: inout MutableRawSpan, _ stack: inout Stack) -> TransmittedPacket? {
        while let frame = output.next() {
            release(frame, &stack)
            guard frame.octets.count <= buffer.byteCount else {
                counts.packetsWithoutMemory &+= 1
                continue
            }
            unsafe buffer.put(frame.octets.span.bytes, at: 0)
            counts.framesSent &+= 1
            return frame.packet
        }
        return nil
    }

    /// The address a packet in `frame` goes to; `nil` if it does not leave now.
    @inline(__always)
    private mutating func hardware(
        for packet: TransmittedPacket, isIPv4: Bool, _ frame: RawSpan, _ stack: inout Stack
    ) -> MACAddress? {
        let destination =
            isIPv4
            ? IPAddress(ipv4: frame.be32(EthernetHeader.length &+ 16)) : frame.ipv6(EthernetHeader.length &+ 24)
        guard let hop = nextHop(to: destination, stack) else {
            // RFC 1122 §3.3.1: no route leads there.
            counts.packetsWithoutRoute &+= 1
            stack.reportUnreachable(frame.extracting(EthernetHeader.length..<packet.length), interface)
            return nil
        }
        if let slot = table.find(hop) {
            if let hardware = use(slot) { return hardware }
            wait(for: slot, frame, packet, &stack)
            return nil
        }
        return hardwareOfOther(hop, packet, frame, &stack)
    }

    /// Where a packet goes next: what a router named, else by the stack's routes (RFC 4861 §5.2).
    func nextHop(to destination: IPAddress, _ stack: borrowing Stack) -> IPAddress? {
        if !redirections.isEmpty, let index = redirections.firstIndex(where: { $0.destination == destination }) {
            return redirections[index].nextHop
        }
        if destination.isMulticast || destination.isLimitedBroadcast { return destination }
        return stack.nextHop(to: destination, on: interface)
    }

    /// The address of a hop that is no known neighbor: a group, this host, or one to be asked for.
    @inline(never)
    private mutating func hardwareOfOther(
        _ hop: IPAddress, _ packet: TransmittedPacket, _ frame: RawSpan, _ stack: inout Stack
    ) -> MACAddress? {
        if hop.isMulticast { return MACAddress(group: hop) }
        if stack.isBroadcastOrMulticast(hop) { return .broadcast }
        if stack.localIndex(hop, on: interface) != nil {
            loop(packet, frame, &stack)
            return nil
        }
        if !resolve(hop, for: packet, frame, &stack) { counts.packetsWithoutMemory &+= 1 }
        return nil
    }

    /// RFC 1122 §3.3.1.1: a packet to this host does not leave it. Its checksum may still be the device's to finish.
    private mutating func loop(_ packet: TransmittedPacket, _ frame: RawSpan, _ stack: inout Stack) {
        counts.packetsLooped &+= 1
        var metadata = PacketMetadata()
        metadata.isChecksumTrusted = packet.isChecksumPartial
        metadata.segmentSize = packet.segmentSize
        stack.receive(
            frame.extracting(EthernetHeader.length..<packet.length), metadata: metadata, on: interface, at: now)
    }

    /// The address of a neighbor a packet goes to; `nil` while it is asked for. What is sent to a neighbor that was not
    /// heard of for a while begins the search for a sign of life (RFC 4861 §7.3.3).
    @inline(__always)
    mutating func use(_ slot: UInt32) -> MACAddress? {
        switch table[slot].state {
        case .incomplete: return nil
        case .reachable:
            if table[slot].deadline > now { break }
            fallthrough
        case .stale:
            table[slot].state = .delay
            table[slot].attempts = 0
            table.schedule(slot, at: now.advanced(byNanoseconds: configuration.delayBeforeProbe.nanoseconds))
            schedule(table.deadline)
        case .delay, .probe: break
        }
        table.move(slot, to: table[slot].kind)
        return table[slot].hardware
    }

    /// Keeps a packet until its neighbor's address is known (RFC 1122 §2.3.2.2, RFC 4861 §7.2.2).
    mutating func wait(for slot: UInt32, _ frame: RawSpan, _ packet: TransmittedPacket, _ stack: inout Stack) {
        counts.packetsDeferred &+= 1
        // The oldest gives way: it is the likeliest to be sent again anyway.
        if table[slot].waiting.count >= configuration.waitingPackets {
            dropOldest(of: slot, &stack)
            counts.packetsOverflowed &+= 1
        }
        let cost = Frame.cost(packet.length)
        while waitingBytes &+ cost > configuration.waitingBytes, !table[slot].waiting.isEmpty {
            dropOldest(of: slot, &stack)
            counts.packetsOverflowed &+= 1
        }
        guard waitingBytes == 0 || waitingBytes &+ cost <= configuration.waitingBytes, stack.reserveForLink(cost) else {
            counts.packetsWithoutMemory &+= 1
            return
        }
        waitingBytes &+= cost
        table[slot].waiting.append(Frame(copying: frame, packet))
    }

    private mutating func dropOldest(of slot: UInt32, _ stack: inout Stack) {
        let frame = table[slot].waiting.removeFirst()
        let cost = Frame.cost(frame.octets.count)
        waitingBytes &-= cost
        stack.releaseForLink(cost)
    }

    /// Drops what waits for a neighbor, and says how many packets that was. `reports` tells their connections.
    mutating func dropWaiting(of slot: UInt32, reports: Bool, _ stack: inout Stack) -> Int {
        guard !table[slot].waiting.isEmpty else { return 0 }
        var frames: [Frame] = []
        swap(&frames, &table[slot].waiting)
        for frame in frames {
            let cost = Frame.cost(frame.octets.count)
            waitingBytes &-= cost
            stack.releaseForLink(cost)
            if reports {
                unsafe stack.reportUnreachable(
                    frame.octets.span.bytes.extracting(EthernetHeader.length..<frame.octets.count), interface)
            }
        }
        return frames.count
    }
}
