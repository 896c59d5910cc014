import TCPEngine
import TCPWire

// Answers to echo requests (RFC 792, RFC 4443 §4.2), in fragments where the link takes no more.
extension Stack {
    /// Queues the answer to a request: identifier, sequence number and data come back.
    mutating func queueEcho(_ request: RawSpan, _ ip: IPHeader, _ local: UInt16) throws(PacketFault) {
        let length = request.byteCount
        guard control.echoes.count &+ length <= ControlQueue.echoLimit else { throw .queueFull }
        let before = control.echoes.count
        guard control.echoes.append(request, &context.pool, &context.budget) == length else {
            // Nothing of a message that did not fit may stay; what came before it does.
            dropEcho(keeping: before)
            throw .noMemory
        }
        var reply = ControlPacket(
            kind: .echoReply, key: FlowKey(remote: ip.source, remotePort: 0, local: local, localPort: 0))
        reply.entry = UInt32(length)
        reply.trafficClass = ip.trafficClass & 0xFC
        if !control.append(reply, &context.budget) {
            dropEcho(keeping: before)
            throw .queueFull
        }
    }

    private mutating func dropEcho(keeping count: Int) {
        control.echoes.truncate(to: count, &context.pool, &context.budget)
    }

    /// Type and code become those of a reply, everything else comes back.
    mutating func writeEcho(_ packet: ControlPacket, _ buffer: inout MutableRawSpan) -> TransmittedPacket? {
        let length = Int(packet.entry)
        let isIPv4 = packet.key.remote.isIPv4
        let ip = IPHeader(
            source: localAddress(packet.key), destination: packet.key.remote,
            protocolNumber: isIPv4 ? IPProtocol.icmp : IPProtocol.icmpv6, hopLimit: configuration.hopLimit,
            trafficClass: packet.trafficClass)
        let room = min(buffer.byteCount, configuration.mtu)
        let checksum = echoChecksum(ip, length, &buffer)
        guard ip.headerLength &+ length > room else {
            return write(ip, count: length, first: checksum, &buffer)
        }
        let identification = identifications.next(packet.key, secret, segments: 1)
        control.outgoing = OutgoingDatagram(ip, length: length, identification: identification)
        control.outgoingChecksum = checksum
        return writeEchoFragment(&buffer)
    }

    /// The next fragment of the answer at hand.
    mutating func writeEchoFragment(_ buffer: inout MutableRawSpan) -> TransmittedPacket? {
        guard var datagram = control.outgoing else { return nil }
        let isFirst = datagram.offset == 0
        guard let next = datagram.next(room: min(buffer.byteCount, configuration.mtu)) else {
            control.echoes.removeFirst(datagram.remaining, &context.pool, &context.budget)
            control.outgoing = nil
            counts.repliesDropped &+= 1
            return nil
        }
        control.outgoing = datagram.remaining > 0 ? datagram : nil
        counts.fragmentsSent &+= 1
        return write(next.header, count: next.count, first: isFirst ? control.outgoingChecksum : nil, &buffer)
    }

    /// Writes a packet with the next `count` octets that wait; with the checksum where they begin a message.
    private mutating func write(
        _ ip: IPHeader, count: Int, first checksum: UInt16?, _ buffer: inout MutableRawSpan
    ) -> TransmittedPacket {
        let offset = ip.write(to: &buffer, payloadLength: count)
        control.echoes.copy(from: 0, count: count, to: &buffer, at: offset, context.pool)
        control.echoes.removeFirst(count, &context.pool, &context.budget)
        if let checksum {
            buffer.put16(Stack.echoReply(isIPv4: ip.source.isIPv4), at: offset)
            buffer.put16(checksum, at: offset &+ 2)
        }
        return TransmittedPacket(length: offset &+ count, headerLength: offset &+ count, transportOffset: offset)
    }

    /// Type and code.
    private static func echoReply(isIPv4: Bool) -> UInt16 { isIPv4 ? 0 : 129 &<< 8 }

    /// The checksum of a whole answer, whose octets pass through `buffer` for it: the request's is not adjusted, so that
    /// there is one way to come by a checksum (RFC 1624 §3 tells of the other's traps).
    private func echoChecksum(_ ip: IPHeader, _ length: Int, _ buffer: inout MutableRawSpan) -> UInt16 {
        var checksum = Checksum()
        if !ip.source.isIPv4 {
            checksum.addPseudoHeader(
                source: ip.source, destination: ip.destination, protocol: IPProtocol.icmpv6, length: length)
        }
        checksum.add(Stack.echoReply(isIPv4: ip.source.isIPv4))
        // Behind type, code and checksum, in pieces of an even length.
        let piece = buffer.byteCount & ~1
        var done = 4
        while done < length, piece > 0 {
            let count = min(piece, length &- done)
            control.echoes.copy(from: done, count: count, to: &buffer, at: 0, context.pool)
            checksum.add(buffer.bytes.extracting(0..<count))
            done &+= count
        }
        return checksum.value
    }
}
