import TCPEngine
import TCPWire

// Datagrams of ICMP and UDP leave, in fragments where the link takes no more (RFC 791 §3.2, RFC 8200 §4.5).
extension Stack {
    /// Queues a message of two parts on the link its source belongs to.
    ///
    /// - Throws: `queueFull` past `limit` octets, descriptions included; `noMemory`.
    mutating func queue(
        _ message: Message, _ kind: MessageQueue.Kind, _ first: RawSpan, _ second: RawSpan, limit: Int
    ) throws(PacketFault) {
        let link = interface(of: message.key)
        guard
            interfaces[link].messages[kind.rawValue].octets.count &+ message.length &+ Message.headSize <= limit
        else { throw .queueFull }
        guard
            interfaces[link].messages[kind.rawValue].append(message, first, second, &context.pool, &context.budget)
        else { throw .noMemory }
    }

    /// The next packet of the messages that wait, or the next fragment of the one at hand.
    mutating func writeMessage(
        _ link: Int, _ kind: MessageQueue.Kind, _ buffer: inout MutableRawSpan
    ) -> TransmittedPacket? {
        let index = kind.rawValue
        while true {
            if interfaces[link].outgoing[index] != nil {
                if let sent = writeFragment(link, index, &buffer) { return sent }
                continue
            }
            guard let message = interfaces[link].messages[index].next(&context.pool, &context.budget) else {
                return nil
            }
            var ip = IPHeader(
                source: localAddress(message.key), destination: message.key.remote,
                protocolNumber: message.protocolNumber, hopLimit: message.hopLimit,
                trafficClass: message.trafficClass)
            let checksum = interfaces[link].messages[index].checksum(message, ip, through: &buffer, context.pool)
            let room = room(for: message, link, buffer.byteCount)
            if ip.headerLength &+ message.length <= room {
                if !message.isAtomic, ip.source.isIPv4 {
                    ip.identification = UInt16(
                        truncatingIfNeeded: identifications.next(message.key, secret, segments: 1))
                }
                let sent = write(ip, link, index, count: message.length, &buffer)
                buffer.put16(checksum, at: ip.headerLength &+ message.checksumOffset)
                messageLeft(message)
                return sent
            }
            let identification = identifications.next(message.key, secret, segments: 1)
            interfaces[link].outgoing[index] = OutgoingMessage(
                message: message,
                datagram: OutgoingDatagram(ip, length: message.length, identification: identification),
                checksum: checksum)
        }
    }

    /// Octets a packet of a message may have.
    private func room(for message: Message, _ link: Int, _ buffer: Int) -> Int {
        let remote = message.key.remote
        return min(buffer, interfaces[link].mtu(isIPv4: remote.isIPv4), paths.mtu(to: remote, context.now))
    }

    /// The next fragment; `nil` where the link has no room for one, and then the message is dropped.
    private mutating func writeFragment(
        _ link: Int, _ index: Int, _ buffer: inout MutableRawSpan
    ) -> TransmittedPacket? {
        guard var outgoing = interfaces[link].outgoing[index] else { return nil }
        let isFirst = outgoing.datagram.offset == 0
        let room = room(for: outgoing.message, link, buffer.byteCount)
        guard let next = outgoing.datagram.next(room: room) else {
            interfaces[link].messages[index].drop(
                outgoing.datagram.remaining, &context.pool, &context.budget)
            interfaces[link].outgoing[index] = nil
            counts.repliesDropped &+= 1
            messageLeft(outgoing.message)
            return nil
        }
        interfaces[link].outgoing[index] = outgoing.datagram.remaining > 0 ? outgoing : nil
        counts.fragmentsSent &+= 1
        let sent = write(next.header, link, index, count: next.count, &buffer)
        if isFirst { buffer.put16(outgoing.checksum, at: sent.transportOffset &+ outgoing.message.checksumOffset) }
        if outgoing.datagram.remaining == 0 { messageLeft(outgoing.message) }
        return sent
    }

    /// Writes a packet with the first `count` octets that wait.
    private mutating func write(
        _ ip: IPHeader, _ link: Int, _ index: Int, count: Int, _ buffer: inout MutableRawSpan
    ) -> TransmittedPacket {
        let offset = ip.write(to: &buffer, payloadLength: count)
        interfaces[link].messages[index].take(
            count, to: &buffer, at: offset, &context.pool, &context.budget)
        return TransmittedPacket(length: offset &+ count, headerLength: offset &+ count, transportOffset: offset)
    }
}
