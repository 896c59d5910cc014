import TCPEngine
public import TCPWire

// The link has room: the next packet.
extension Stack {
    /// Whether `transmit` is worth a call on that link.
    public func wantsToTransmit(on interface: InterfaceID) -> Bool {
        let link = Int(interface.index)
        return !interfaces[link].control.isEmpty || !interfaces[link].transmitting.isEmpty
            || !interfaces[link].messages[0].isEmpty || !interfaces[link].messages[1].isEmpty
    }

    /// Whether `transmit` is worth a call on the first link.
    public var wantsToTransmit: Bool { wantsToTransmit(on: .first) }

    /// Writes the next packet into `buffer`, which must hold an MTU, or 64 KiB with `superSegments`; `nil` when there is
    /// nothing to send now. Call it when the link has room only: what it returns counts as sent.
    public mutating func transmit(
        into buffer: inout MutableRawSpan, on interface: InterfaceID = .first, at now: Instant
    ) -> TransmittedPacket? {
        var fragments = unsafe PayloadFragments()
        return unsafe transmit(into: &buffer, &fragments, interface, gathers: false, largestPacket: 65_535, at: now)
    }

    /// The same for a link that gathers: a large payload stays in the send queue, and `payload` says where. Then only the
    /// packet's first `headerLength` octets are in `buffer`. Needs `checksumOffload`; without it everything is copied.
    ///
    /// The fragments are good until the stack is called again.
    ///
    /// `largestPacket` is the largest super-segment the link takes, in octets with the headers; at most
    /// `PayloadFragments.largestPacket`. An IPv4 packet of more than 65,535 has a total length of zero, as Linux has it since
    /// 6.3: the link must know its length. IPv6 stays below.
    @unsafe
    public mutating func transmit(
        headersInto buffer: inout MutableRawSpan, payload: inout PayloadFragments, largestPacket: Int = 65_535,
        on interface: InterfaceID = .first, at now: Instant
    ) -> TransmittedPacket? {
        let gathers = interfaces[Int(interface.index)].link.checksumOffload
        return unsafe transmit(
            into: &buffer, &payload, interface, gathers: gathers, largestPacket: gathers ? largestPacket : 65_535,
            at: now)
    }

    @unsafe
    private mutating func transmit(
        into buffer: inout MutableRawSpan, _ fragments: inout PayloadFragments, _ interface: InterfaceID,
        gathers: Bool, largestPacket: Int, at now: Instant
    ) -> TransmittedPacket? {
        context.now = max(context.now, now)
        unsafe fragments.removeAll()
        let link = Int(interface.index)
        while let packet = interfaces[link].control.next(&context.budget) {
            if let sent = write(packet, &buffer) {
                counts.packetsSent &+= 1
                return sent
            }
        }
        if let sent = writeMessage(link, .icmp, &buffer) {
            counts.packetsSent &+= 1
            return sent
        }
        // Datagrams and segments take turns.
        interfaces[link].datagramsFirst.toggle()
        if interfaces[link].datagramsFirst || interfaces[link].transmitting.isEmpty,
            let sent = writeMessage(link, .udp, &buffer)
        {
            counts.packetsSent &+= 1
            return sent
        }
        while let slot = popTransmit(link) {
            let key = tables.connections[slot].key
            let isIPv4 = addresses[Int(key.local)].prefix.address.isIPv4
            let largest = unsafe min(largestPacket, PayloadFragments.largestPacket)
            let room = gathers && isIPv4 && largest > 65535 ? largest : min(buffer.byteCount, isIPv4 ? 65535 : 65575)
            let limit = interfaces[link].link.superSegments ? room &- (isIPv4 ? 40 : 60) : 0
            let opensFast = tables.connections[slot].connection.wantsFastOpenOffer
            if opensFast { offerFastOpen(slot, key) }
            guard let segment = tables.connections[slot].connection.compose(superSegment: limit, &context) else {
                settle(slot, isBlocked: true)
                continue
            }
            if opensFast, segment.payloadLength > 0 { counts.fastOpensSent &+= 1 }
            let sent = unsafe write(segment, slot, key, &buffer, &fragments, gathers: gathers)
            // Round robin: one packet a turn.
            settle(slot)
            counts.packetsSent &+= 1
            counts.segmentsSent &+= 1
            return sent
        }
        // Those whose turn it was had nothing after all.
        guard let sent = writeMessage(link, .udp, &buffer) else { return nil }
        counts.packetsSent &+= 1
        return sent
    }

    /// Payloads below this are copied: that costs less than another entry in the link's vector.
    private static var gatheredSize: Int { 4096 }

    @unsafe
    private mutating func write(
        _ segment: OutgoingSegment, _ slot: UInt32, _ key: FlowKey, _ buffer: inout MutableRawSpan,
        _ fragments: inout PayloadFragments, gathers: Bool
    ) -> TransmittedPacket {
        let header = TCPHeader(
            sourcePort: key.localPort, destinationPort: key.remotePort, sequence: segment.sequence,
            acknowledgment: segment.acknowledgment, flags: segment.flags, window: segment.window,
            options: segment.options)
        let offset = addresses[Int(key.local)].prefix.address.isIPv4 ? 20 : 40
        let count = segment.payloadLength
        if gathers, count >= Stack.gatheredSize {
            unsafe tables.connections[slot].connection.sendQueue.forEachFragment(
                from: segment.payloadOffset, count: count, context.pool
            ) { unsafe fragments.append($0) }
        } else if count > 0 {
            tables.connections[slot].connection.sendQueue.copy(
                from: segment.payloadOffset, count: count, to: &buffer, at: offset &+ header.headerLength, context.pool)
        }
        let mayFragment = tables.connections[slot].connection.path.mayFragment
        let identification =
            mayFragment
            ? UInt16(
                truncatingIfNeeded: identifications.next(
                    key, secret, segments: segment.segmentSize > 0 ? (count &- 1) / segment.segmentSize &+ 1 : 1))
            : nil
        return writeHeaders(
            key, header, payloadLength: count, hopLimit: tables.connections[slot].connection.hopLimit,
            trafficClass: tables.connections[slot].connection.differentiatedServices &<< 2
                | segment.codepoint.rawValue,
            segmentSize: segment.segmentSize, identification: identification, &buffer)
    }

    /// Writes the IP and TCP headers in front of a payload that is there already.
    private func writeHeaders(
        _ key: FlowKey, _ header: TCPHeader, payloadLength: Int, hopLimit: UInt8, trafficClass: UInt8,
        segmentSize: Int, identification: UInt16? = nil, _ buffer: inout MutableRawSpan
    ) -> TransmittedPacket {
        let source = localAddress(key)
        let destination = key.remote
        let isPartial = interfaces[interface(of: key)].link.checksumOffload
        var ip = IPHeader(
            source: source, destination: destination, protocolNumber: IPProtocol.tcp, hopLimit: hopLimit,
            trafficClass: trafficClass)
        ip.identification = identification
        let length = header.headerLength &+ payloadLength
        let offset = ip.write(to: &buffer, payloadLength: length)
        header.write(to: &buffer, at: offset)
        TCPHeader.writeChecksum(
            in: &buffer, range: offset..<offset &+ length, source: source, destination: destination,
            partial: isPartial)
        return TransmittedPacket(
            length: offset &+ length, headerLength: offset &+ header.headerLength, transportOffset: offset,
            segmentSize: segmentSize, isChecksumPartial: isPartial)
    }

    // MARK: Packets that belong to no connection

    private mutating func write(
        _ packet: ControlPacket, _ buffer: inout MutableRawSpan
    ) -> TransmittedPacket? {
        let key = packet.key
        var header = TCPHeader(
            sourcePort: key.localPort, destinationPort: key.remotePort, sequence: packet.sequence, flags: .rst)
        var hopLimit = packet.hopLimit == 0 ? self.hopLimit(for: key) : packet.hopLimit
        var trafficClass = packet.trafficClass
        if packet.kind == .reset {
            if let timestamps = packet.timestamps {
                header.options.timestamps = timestamps
                header.headerLength = 20 &+ header.options.encodedLength
            }
            if packet.hasAcknowledgment {
                header.flags.insert(.ack)
                header.acknowledgment = packet.acknowledgment
            }
            counts.resetsSent &+= 1
        } else if packet.kind == .cookie {
            let listener = Int(packet.entry)
            // The listener may have gone since.
            guard listener < listeners.count, listeners[listener].isOpen else { return nil }
            let options = listeners[listener].options
            hopLimit = options.hopLimit ?? hopLimit
            trafficClass = options.differentiatedServices &<< 2
            header = cookieSynAck(packet)
        } else {
            // The entry may have gone, or become another, since its reply was queued.
            guard tables.entries.contains(packet.entry), tables.entries[packet.entry].key == key else { return nil }
            if !tables.entries[packet.entry].info.contains(.timeWait) {
                // RFC 9293 MUST-48, MUST-49: what the listener's connections will have.
                let options = listeners[Int(tables.entries[packet.entry].listener)].options
                hopLimit = options.hopLimit ?? hopLimit
                trafficClass = options.differentiatedServices &<< 2
            }
            if packet.kind == .synAck {
                guard !tables.entries[packet.entry].info.contains(.timeWait) else { return nil }
                tables.entries[packet.entry].info.remove(.replyDue)
                header = synAck(packet.entry)
            } else {
                header = entryAcknowledgment(packet.entry)
            }
        }
        counts.segmentsSent &+= 1
        return writeHeaders(
            key, header, payloadLength: 0, hopLimit: hopLimit, trafficClass: trafficClass, segmentSize: 0, &buffer)
    }

    /// RFC 9293 §3.10.7.2: <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>, with the options the SYN offered too.
    private mutating func synAck(_ slot: UInt32) -> TCPHeader {
        let key = tables.entries[slot].key
        let info = tables.entries[slot].info
        let listener = Int(tables.entries[slot].listener)
        var options = TCPOptions()
        options.maximumSegmentSize = UInt16(
            clamping: announcedSegmentSize(
                listeners[listener].options, local: key.local))
        options.sackPermitted = info.contains(.sack)
        if info.contains(.timestamps) {
            options.timestamps = TCPTimestamps(value: timestamp(key), echo: tables.entries[slot].timestamp)
        }
        if info.scale != nil { options.windowScale = listeners[listener].windowScale }
        // RFC 7413 §4.2.2: a SYN-ACK that is sent again has no such option.
        if info.contains(.cookieAsked), info.retries == 0 { options.fastOpen = fastOpenCookie(key) }
        let ecnFlags = synAckECN(slot, &options)
        return TCPHeader(
            sourcePort: key.localPort, destinationPort: key.remotePort, sequence: tables.entries[slot].send,
            acknowledgment: tables.entries[slot].receive + 1,
            flags: ecnFlags.union([.syn, .ack]),
            window: UInt16(listeners[listener].synWindow),
            options: options)
    }

    /// RFC 9768 §3.2.3.2.2: the first SYN-ACK has an option too, if there is room, and from the second that goes again on they
    /// are plain.
    private mutating func synAckECN(_ slot: UInt32, _ options: inout TCPOptions) -> TCPFlags {
        let retries = tables.entries[slot].info.retries
        let ecn = tables.entries[slot].ecn
        guard ecn.feedback == .accurate else { return ECN.synAckFlags(ecn.feedback, arrivedAs: ecn.arrivedAs) }
        guard retries < 2 else {
            tables.entries[slot].ecn.sendsPlain = true
            return []
        }
        if retries == 0, !ecn.isAgain, options.encodedLength + ECN.firstOption.encodedLength <= 40 {
            options.accurateECN = ECN.firstOption
        }
        return ECN.synAckFlags(.accurate, arrivedAs: ecn.arrivedAs)
    }

    private func entryAcknowledgment(_ slot: UInt32) -> TCPHeader {
        let key = tables.entries[slot].key
        let info = tables.entries[slot].info
        let isTimeWait = info.contains(.timeWait)
        var options = TCPOptions()
        if info.contains(.timestamps) {
            options.timestamps = TCPTimestamps(value: timestamp(key), echo: tables.entries[slot].timestamp)
        }
        let listener = Int(tables.entries[slot].listener)
        let scale = !isTimeWait && info.scale != nil ? Int(listeners[listener].windowScale) : 0
        let window = isTimeWait ? synWindow : listeners[listener].synWindow
        return TCPHeader(
            sourcePort: key.localPort, destinationPort: key.remotePort,
            sequence: isTimeWait ? tables.entries[slot].send : tables.entries[slot].send + 1,
            acknowledgment: isTimeWait ? tables.entries[slot].receive : tables.entries[slot].receive + 1, flags: .ack,
            window: UInt16(window &>> scale), options: options)
    }

    /// TSval of a flow at the moment.
    func timestamp(_ key: FlowKey) -> UInt32 {
        UInt32(truncatingIfNeeded: context.now.nanoseconds / 1_000_000) &+ timestampOffset(key)
    }
}
