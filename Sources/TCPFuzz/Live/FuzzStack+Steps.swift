import TCPEngine
import TCPStack
import TCPWire

// What an attacker, a network and a program can do to a stack.
extension StackSession {
    // MARK: Segments

    /// A segment whose every field is the right one, one near it, or anything.
    func segment(_ variant: UInt8) {
        let number = Int(variant & 3) % peers.count
        let flags = segmentFlags(octets.next())
        var segment = standard(number, flags)
        if variant & 4 != 0 { segment.sequence = sequence(number, octets.next()) }
        if variant & 8 != 0 { segment.acknowledgment = acknowledgment(number, octets.next()) }
        let extras = octets.next()
        let size = [0, 0, 1, 10, 100, 536, 1000, 1400][Int(extras & 7)]
        if extras & 8 != 0 { segment.window = [0, 1, 100, 0xFFFF][octets.below(4)] }
        if extras & 16 != 0 { segment.options = options(number, octets.next()) }
        if extras & 32 != 0 {
            segment.flags.insert(.urg)
            segment.urgent = [0, 1, 50, 0xFFFF][octets.below(4)]
        }
        let start = segment.sequence + (flags.contains(.syn) ? 1 : 0)
        var metadata = PacketMetadata()
        var length = size
        if extras & 64 != 0 {
            let rare = octets.next()
            if rare & 1 != 0 { metadata.segmentSize = 1 + Int(rare >> 1) * 8 }
            if rare & 2 != 0 { length = size * (1 + Int(rare >> 5) * 6) }
            if rare & 4 != 0 { segment.hopLimit = 0 }
            if rare & 8 != 0 { segment.hasWrongChecksum = true }
            if rare & 16 != 0 { swap(&segment.source, &segment.destination) }
        }
        segment.payload = Pattern.bytes(from: start, count: length)
        // Octets in order move the peer on, so that the conversation goes somewhere.
        if segment.sequence == peers[number].next, extras & 128 == 0, !segment.hasWrongChecksum {
            peers[number].next += length + (flags.contains(.fin) ? 1 : 0) + (flags.contains(.syn) ? 1 : 0)
        }
        inject(segment.packet(), metadata: metadata)
    }

    private func segmentFlags(_ code: UInt8) -> TCPFlags {
        let usual: [TCPFlags] = [.ack, .ack, [.psh, .ack], [.fin, .ack], .syn, [.syn, .ack], .rst, [.rst, .ack]]
        if code & 0x80 == 0 { return usual[Int(code & 7)] }
        return TCPFlags(rawValue: UInt16(code & 0x3F) | UInt16(code & 0x40) << 2)
    }

    private func sequence(_ number: Int, _ code: UInt8) -> SequenceNumber {
        let peer = peers[number]
        let bases = [peer.next, peer.acknowledged, peer.edge, peer.initial]
        return bases[Int(code & 3)] + near(code >> 2)
    }

    private func acknowledgment(_ number: Int, _ code: UInt8) -> SequenceNumber {
        let peer = peers[number]
        let bases = [peer.stackNext, peer.stackInitial, peer.stackNext + -536, peer.stackInitial + 1]
        return bases[Int(code & 3)] + near(code >> 2)
    }

    private func near(_ code: UInt8) -> Int {
        switch code & 15 {
        case 0: 0
        case 1: 1
        case 2: -1
        case 3: 2
        case 4: -2
        case 5: 100
        case 6: -100
        case 7: 1460
        case 8: 65_535
        case 9: -65_535
        case 10: 1 << 31
        case 11: 1 << 31 - 1
        case 12: 1 << 30
        case 13: Int(octets.next())
        case 14: Int(octets.next16())
        default: Int(Int32(bitPattern: octets.next32()))
        }
    }

    private func options(_ number: Int, _ code: UInt8) -> [UInt8] {
        var result: [UInt8] = []
        if code & 1 != 0 {
            let old = [0, 1, 1000, UInt32(1) << 31][Int(code >> 6)]
            result += RawOption.timestamps(timestamp(number) &- old, echo: peers[number].lastTimestamp &- old)
        }
        if code & 2 != 0 { result += RawOption.sack(sackBlocks(number)) }
        if code & 4 != 0 { result += RawOption.segmentSize([0, 1, 60, 65535][octets.below(4)]) }
        if code & 8 != 0 { result += RawOption.shift(octets.next()) }
        if code & 16 != 0 { result += RawOption.permitsSACK }
        if code & 32 != 0 { result += octets.take(1 + octets.below(12)) }
        return result
    }

    private func sackBlocks(_ number: Int) -> [(SequenceNumber, SequenceNumber)] {
        (0..<1 + octets.below(3)).map { _ in
            let code = octets.next()
            let start = acknowledgment(number, code)
            return (start, start + [0, 1, 100, 536, 1460, 1 << 31, -1, -100][Int(octets.next() & 7)])
        }
    }

    // MARK: Packets that are no segments in order

    func garbage(_ variant: UInt8) {
        isForged = true
        var bytes = octets.take(Int(variant) * 4 + 20)
        guard bytes.count >= 20 else { return inject(bytes) }
        // Mostly a header that leads on to the transport.
        if variant & 1 != 0 { mendIPv4(&bytes) }
        inject(bytes)
    }

    /// The last packet with octets changed, its checksums right again.
    func mutateLast() {
        guard last.count >= 40 else { return }
        isForged = true
        var bytes = last
        for _ in 0..<1 + octets.below(3) {
            bytes[Int(octets.next16()) % bytes.count] = octets.next()
        }
        let kept = last.count - (octets.bool() ? octets.below(32) : 0)
        bytes = Array(bytes[..<max(kept, 20)])
        mend(&bytes)
        let before = last
        inject(bytes)
        last = before
    }

    private func mend(_ bytes: inout [UInt8]) {
        if bytes[0] >> 4 == 4 {
            mendIPv4(&bytes)
        } else if bytes.count >= 40 {
            put16(UInt16(bytes.count - 40), &bytes, at: 4)
        }
        guard let ip = try? IPHeader(parsing: bytes.span.bytes), ip.protocolNumber == IPProtocol.tcp,
            ip.totalLength - ip.headerLength >= 18
        else { return }
        let length = ip.totalLength - ip.headerLength
        let pseudo = naivePseudoHeader(ip.source, ip.destination, protocol: IPProtocol.tcp, length: length)
        mendChecksum(
            &bytes, ip.headerLength..<ip.totalLength, field: ip.headerLength + 16, seed: naiveSum(pseudo))
    }

    func icmp(_ variant: UInt8) {
        let number = Int(variant & 3) % peers.count
        let peer = peers[number]
        var body: [UInt8]
        if variant & 4 != 0 {
            body = [isIPv6 ? 128 : 8, 0, 0, 0] + octets.take(8 + octets.below(64))
        } else {
            // About a segment of the stack's, or nearly.
            var quoted = ForgedSegment(source: peer.target, destination: peer.endpoint)
            quoted.sequence = acknowledgment(number, octets.next())
            let kinds: [[UInt8]] =
                isIPv6
                ? [[1, 0], [1, 4], [2, 0], [3, 0], [4, 1]] : [[3, 1], [3, 3], [3, 4], [11, 0], [12, 0], [4, 0]]
            let mtu = octets.next16()
            body = kinds[octets.below(kinds.count)] + [0, 0] + [0, 0] + [UInt8(mtu >> 8), UInt8(mtu & 255)]
            body += quoted.packet().prefix(variant & 8 == 0 ? 68 : 20 + octets.below(40))
        }
        inject(icmpPacket(from: peer.endpoint.address, to: peer.target.address, body))
    }

    private func icmpPacket(from source: IPAddress, to destination: IPAddress, _ body: [UInt8]) -> [UInt8] {
        let number = source.isIPv4 ? IPProtocol.icmp : IPProtocol.icmpv6
        let ip = IPHeader(source: source, destination: destination, protocolNumber: number)
        var bytes = [UInt8](repeating: 0, count: ip.headerLength)
        writeHeader(ip, body.count, &bytes)
        bytes += body
        let pseudo =
            source.isIPv4 ? [] : naivePseudoHeader(source, destination, protocol: number, length: body.count)
        mendChecksum(&bytes, ip.headerLength..<bytes.count, field: ip.headerLength + 2, seed: naiveSum(pseudo))
        return bytes
    }

    private func writeHeader(_ ip: IPHeader, _ length: Int, _ bytes: inout [UInt8]) {
        var span = bytes.mutableSpan
        var raw = span.mutableBytes
        ip.write(to: &raw, payloadLength: length)
    }

    // MARK: The program

    func read(_ variant: UInt8) {
        guard !handles.isEmpty else { return }
        let index = Int(variant & 3) % handles.count
        let count = [1, 100, 1500, 20_000][Int(variant >> 2)]
        let id = handles[index].id
        guard let (result, got) = try? host.read(id, count) else { return }
        if !isForged, got > 0, let initial = host.stack.initialSequences(of: id)?.receive {
            require(!handles[index].endOfStream, "octets come after the end of the stream")
            require(
                host.arrivedMatches(initial + 1 + handles[index].read, count: got),
                "an octet is read that the peer did not send there")
        }
        handles[index].read += got
        if result == .endOfStream { handles[index].endOfStream = true }
        if !isLinkLazy { pump() }
    }

    func write(_ variant: UInt8) {
        guard !handles.isEmpty else { return }
        write(Int(variant & 3) % handles.count, [1, 200, 1460, 6000][Int(variant >> 2)])
        if !isLinkLazy { pump() }
    }

    func end(_ variant: UInt8) {
        guard !handles.isEmpty else { return }
        let index = Int(variant & 3) % handles.count
        let id = handles[index].id
        switch variant >> 2 {
        case 0, 1: try? host.stack.close(id, at: host.now)
        case 2:
            host.stack.release(id, at: host.now)
            require(host.stack.status(of: id) == nil, "a released handle still names something")
        default:
            host.stack.abort(id, at: host.now)
            require(host.stack.status(of: id) == nil, "an aborted handle still names something")
        }
        if !isLinkLazy { pump() }
    }

    func call(_ variant: UInt8) {
        switch variant {
        case 0...2:
            for listener in listeners {
                if let id = host.stack.accept(listener) { handles.append(FuzzedHandle(id: id)) }
            }
        case 3...4: while host.stack.nextEvent() != nil {}
        case 5: while host.stack.nextStateChange() != nil {}
        case 6: setOptions()
        case 7...8:
            let peer = peers[octets.below(peers.count)].endpoint
            let port = variant == 7 ? 0 : StackSession.port
            if let id = try? host.stack.connect(to: peer, port: port, at: host.now) {
                handles.append(FuzzedHandle(id: id))
            }
        case 9:
            if let id = try? host.stack.listen(
                on: StackSession.port, address: octets.bool() ? host.addresses[0] : nil, backlog: octets.below(3),
                at: host.now)
            {
                listeners.append(id)
            }
        case 10: if let id = listeners.last { host.stack.stopListening(id, at: host.now) }
        case 11: host.stack.removeAddress(host.addresses[0])
        case 12: host.stack.addAddress(AddressPrefix(host.addresses[0], length: isIPv6 ? 64 : 8))
        case 13: isLinkLazy.toggle()
        case 14:
            let flows = host.stack.flows()
            require(Set(flows).count == flows.count, "a flow is listed twice")
        default: for handle in handles { _ = host.stack.status(of: handle.id) }
        }
        if !isLinkLazy { pump() }
    }

    private func setOptions() {
        guard !handles.isEmpty else { return }
        let code = octets.next()
        var options = ConnectionOptions()
        options.noDelay = code & 1 != 0
        if code & 2 != 0 { options.keepAliveIdle = .seconds(Int64(octets.next())) }
        options.keepAliveInterval = .milliseconds(Int64(octets.next()) * 10)
        options.keepAliveProbes = Int(code >> 5)
        if code & 4 != 0 { options.userTimeout = .milliseconds(Int64(octets.next16())) }
        options.differentiatedServices = octets.next()
        if code & 8 != 0 { options.hopLimit = max(1, octets.next()) }
        host.stack.setOptions(handles[octets.below(handles.count)].id, options, at: host.now)
    }
}
