import TCPEngine
import TCPWire

// Routers: found, heeded within limits, left when they do not answer (RFC 4861 §6.3, §8.3).
extension EthernetLink {
    /// The first call of `advance`.
    mutating func start(_ stack: inout Stack) {
        guard !isStarted else { return }
        isStarted = true
        if configuration.autoconfigures { beginIPv6(with: nil, &stack) }
    }

    /// RFC 4861 §6.3.4.
    mutating func receiveRouterAdvertisement(
        _ message: NeighborMessage, _ packet: RawSpan, _ stack: inout Stack
    ) throws(EthernetFault) {
        guard configuration.autoconfigures else { throw .routerMessage }
        guard !isAssigned(message.source) else { throw .discoveryAddress }
        // §6.3.7: a router answered, if it was asked.
        if message.routerLifetime > 0, routerSolicitationsLeft < configuration.routerSolicitations {
            routerSolicitationsLeft = 0
            routerSolicitationAt = .distantFuture
        }
        let number = Int(interface.index)
        if message.hopLimit > 0 { stack.interfaces[number].advertisedHopLimit = message.hopLimit }
        // §6.2.1: no router may say more than an hour.
        if 1...3_600_000 ~= message.reachableTime { reachableTime = Int64(message.reachableTime) &* 1_000_000 }
        if message.retransmissionTimer > 0 {
            // What is shorter would have this host flood the link, what is longer would have it wait for ever.
            retransmissionTimer = Int64(min(max(message.retransmissionTimer, 100), 60_000)) &* 1_000_000
        }
        // RFC 8200 §5, RFC 4861 §4.6.4: what IPv6 needs, and no more than the link takes.
        if let mtu = message.mtu, mtu >= 1280, Int(mtu) <= stack.interfaces[number].link.mtu {
            stack.interfaces[number].advertisedMTU = Int(mtu)
        }
        var slot = table.find(message.source)
        if let hardware = message.sourceLink { slot = learn(message.source, hardware, &stack) }
        if let slot { table[slot].isRouter = true }
        noteRouter(message, &stack)
        var offset = message.options.lowerBound
        while let information = PrefixInformation.next(in: packet, &offset, end: message.options.upperBound) {
            note(information, &stack)
        }
    }

    private mutating func note(_ information: PrefixInformation, _ stack: inout Stack) {
        let prefix = information.prefix
        // §6.3.4, RFC 4862 §5.5.3 (b): the link-local prefix is nobody's to tell of. Nor is everything on one link.
        guard !prefix.address.isLinkLocal, !prefix.address.isMulticast, prefix.length > 0 else {
            counts.count(.prefixRefused)
            return
        }
        // What the flags ask for has nothing to do with each other.
        do throws(EthernetFault) {
            if information.isOnLink { try noteOnLink(prefix, information.validLifetime, &stack) }
        } catch {
            counts.count(error)
        }
        do throws(EthernetFault) {
            if information.isAutonomous { try autoconfigure(information, &stack) }
        } catch {
            counts.count(error)
        }
    }

    /// §6.3.4: a prefix is on the link until its lifetime ends.
    private mutating func noteOnLink(
        _ prefix: AddressPrefix, _ lifetime: UInt32, _ stack: inout Stack
    ) throws(EthernetFault) {
        if let index = prefixes.firstIndex(where: { $0.prefix == prefix }) {
            if lifetime == 0 {
                removePrefix(index, &stack)
            } else {
                prefixes[index].validUntil = end(of: lifetime)
                schedule(prefixes[index].validUntil)
            }
            return
        }
        guard lifetime > 0 else { return }
        guard prefixes.count < configuration.prefixes else { throw .tooManyPrefixes }
        try reserveRecord(OnLinkPrefix.cost, &stack)
        prefixes.append(OnLinkPrefix(prefix: prefix, validUntil: end(of: lifetime)))
        schedule(end(of: lifetime))
        stack.addRoute(Route(prefix, on: interface))
    }

    private mutating func reserveRecord(_ bytes: Int, _ stack: inout Stack) throws(EthernetFault) {
        guard stack.reserveForLink(bytes) else { throw .noMemory }
        recordBytes &+= bytes
    }

    private mutating func releaseRecord(_ bytes: Int, _ stack: inout Stack) {
        recordBytes &-= bytes
        stack.releaseForLink(bytes)
    }

    mutating func removePrefix(_ index: Int, _ stack: inout Stack) {
        stack.removeRoute(Route(prefixes[index].prefix, on: interface))
        prefixes.remove(at: index)
        releaseRecord(OnLinkPrefix.cost, &stack)
    }

    // MARK: The default router

    private static var everywhere: AddressPrefix { AddressPrefix(.unspecifiedIPv6, length: 0) }

    private mutating func noteRouter(_ message: NeighborMessage, _ stack: inout Stack) {
        guard message.routerLifetime > 0 else {
            removeRouter(message.source, &stack)
            return
        }
        let end = end(of: UInt32(message.routerLifetime))
        if let index = routers.firstIndex(where: { $0.address == message.source }) {
            routers[index].validUntil = end
            routers[index].preference = message.routerPreference
            routers[index].isSuspect = false
        } else {
            guard routers.count < configuration.routers else {
                counts.count(.tooManyRouters)
                return
            }
            guard stack.reserveForLink(Router.cost) else {
                counts.count(.noMemory)
                return
            }
            recordBytes &+= Router.cost
            routers.append(Router(address: message.source, validUntil: end, preference: message.routerPreference))
        }
        schedule(end)
        chooseRouter(after: nil, &stack)
    }

    mutating func removeRouter(_ address: IPAddress, _ stack: inout Stack) {
        guard let index = routers.firstIndex(where: { $0.address == address }) else { return }
        routers.remove(at: index)
        releaseRecord(Router.cost, &stack)
        chooseRouter(after: nil, &stack)
    }

    /// RFC 4861 §6.3.6: of the routers that are not known to be silent, the one that wants most to be taken (RFC 4191 §3.2);
    /// when all are silent, one after the other.
    private mutating func chooseRouter(after failed: Int?, _ stack: inout Stack) {
        var best: Int?
        for index in 0..<routers.count where !routers[index].isSuspect {
            let isBetter = best.map { routers[index].preference > routers[$0].preference } ?? true
            // The one in use stays while none is better: connections keep their way.
            let isEqual = best.map { routers[index].preference == routers[$0].preference } ?? false
            if isBetter || isEqual && routers[index].address == defaultRouter { best = index }
        }
        if best == nil, !routers.isEmpty {
            if let failed {
                best = (failed &+ 1) % routers.count
            } else {
                best = routers.firstIndex { $0.address == defaultRouter } ?? 0
            }
        }
        let chosen = best.map { routers[$0].address }
        guard chosen != defaultRouter else { return }
        if let defaultRouter { stack.removeRoute(Route(EthernetLink.everywhere, via: defaultRouter, on: interface)) }
        defaultRouter = chosen
        if let chosen { stack.addRoute(Route(EthernetLink.everywhere, via: chosen, on: interface)) }
    }

    /// A neighbor did not answer: what went by way of it goes another way (RFC 4861 §7.3.3).
    mutating func suspect(_ address: IPAddress, _ stack: inout Stack) {
        var index = redirections.count
        while index > 0 {
            index &-= 1
            if redirections[index].nextHop == address { removeRedirection(index, &stack) }
        }
        guard let failed = routers.firstIndex(where: { $0.address == address }) else { return }
        routers[failed].isSuspect = true
        if defaultRouter == address { chooseRouter(after: failed, &stack) }
    }

    // MARK: Redirects

    /// RFC 4861 §8.3, what §8.1 leaves to check: only the first hop of a destination may name another.
    mutating func receiveRedirect(_ message: NeighborMessage, _ stack: inout Stack) throws(EthernetFault) {
        guard configuration.autoconfigures, configuration.redirects > 0 else { throw .routerMessage }
        let destination = message.redirected
        guard nextHop(to: destination, stack) == message.source, !isAssigned(destination), !isAssigned(message.target)
        else { throw .redirectRefused }
        if let index = redirections.firstIndex(where: { $0.destination == destination }) {
            redirections[index].nextHop = message.target
        } else {
            if redirections.count >= configuration.redirects { removeRedirection(0, &stack) }
            try reserveRecord(Redirection.cost, &stack)
            redirections.append(Redirection(destination: destination, nextHop: message.target))
        }
        counts.redirectsObeyed &+= 1
        if let hardware = message.targetLink, let slot = learn(message.target, hardware, &stack) {
            // Another than the destination is a router.
            if message.target != destination { table[slot].isRouter = true }
        }
    }

    mutating func removeRedirection(_ index: Int, _ stack: inout Stack) {
        redirections.remove(at: index)
        releaseRecord(Redirection.cost, &stack)
    }

    // MARK: Time passes

    /// RFC 4861 §6.3.7: a link-local address is there to ask from.
    mutating func beginRouterSolicitations() {
        guard configuration.routerSolicitations > 0 else { return }
        routerSolicitationsLeft = configuration.routerSolicitations
        routerSolicitationAt = now
        schedule(now)
    }

    /// Ends what has no lifetime left, and asks for routers.
    mutating func advanceRouters(_ stack: inout Stack) {
        for index in stride(from: routers.count &- 1, through: 0, by: -1) where routers[index].validUntil <= now {
            removeRouter(routers[index].address, &stack)
        }
        for index in stride(from: prefixes.count &- 1, through: 0, by: -1) where prefixes[index].validUntil <= now {
            removePrefix(index, &stack)
        }
        for router in routers { schedule(router.validUntil) }
        for prefix in prefixes { schedule(prefix.validUntil) }
        if routerSolicitationAt <= now { solicitRouters(&stack) }
        schedule(routerSolicitationAt)
    }

    private mutating func solicitRouters(_ stack: inout Stack) {
        routerSolicitationAt = .distantFuture
        guard routerSolicitationsLeft > 0, let source = linkLocalAddress else { return }
        routerSolicitationsLeft &-= 1
        if routerSolicitationsLeft > 0 {
            routerSolicitationAt = now.advanced(
                byNanoseconds: max(configuration.routerSolicitationInterval.nanoseconds, 1))
        }
        var message = NeighborMessage(.routerSolicitation, source: source, destination: .allRouters)
        message.sourceLink = address
        send(message, to: MACAddress(group: .allRouters), &stack)
    }

    /// The link-local IPv6 address, once it is this host's.
    var linkLocalAddress: IPAddress? {
        for record in records
        where record.isAssigned && !record.prefix.address.isIPv4 && record.prefix.address.isLinkLocal {
            return record.prefix.address
        }
        return nil
    }
}
