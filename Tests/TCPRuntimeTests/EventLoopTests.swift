import CLinux
import Glibc
import Synchronization
import TCPRuntime
import Testing

@Suite("The event loop")
struct EventLoopTests {
    @Test("Tasks run on the thread that runs the loop, and their value comes back")
    func runsTasks() throws {
        let loop = try EventLoop()
        let thread = UInt(pthread_self())
        let value = try loop.run {
            let inside = UInt(pthread_self())
            try await loop.sleep(for: .milliseconds(1))
            return [inside, UInt(pthread_self())]
        }
        #expect(value == [thread, thread])
        #expect(!loop.isCurrent)
    }

    @Test("What a task throws, run throws")
    func throwsOn() throws {
        let loop = try EventLoop()
        #expect(throws: Stuck.self) { try loop.run { throw Stuck() } }
        // The loop can be used again.
        #expect(try loop.run { 1 } == 1)
    }

    @Test("Sleeps end in the order of their times")
    func sleepsInOrder() throws {
        let loop = try EventLoop()
        let order = try loop.run {
            await withTaskGroup(of: Int.self) { group in
                for index in [3, 1, 2] {
                    group.addTask {
                        try? await loop.sleep(for: .milliseconds(20 * index))
                        return index
                    }
                }
                var order: [Int] = []
                for await index in group { order.append(index) }
                return order
            }
        }
        #expect(order == [1, 2, 3])
    }

    @Test("A cancelled sleep ends at once by CancellationError", arguments: [true, false])
    func cancelledSleep(before: Bool) throws {
        let loop = try EventLoop()
        try loop.run {
            let task = Task(executorPreference: loop) { try await loop.sleep(for: .seconds(3600)) }
            if !before { try await loop.sleep(for: .milliseconds(1)) }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
        }
    }

    @Test("A task waits for a pipe to become readable")
    func waitsForPipe() throws {
        let loop = try EventLoop()
        var ends: [CInt] = [0, 0]
        #expect(pipe(&ends) == 0)
        let (reading, writing) = (ends[0], ends[1])
        defer {
            close(reading)
            close(writing)
        }
        try loop.run {
            let waiter = Task(executorPreference: loop) { try await loop.wait(for: .readable, at: reading) }
            try await loop.sleep(for: .milliseconds(1))
            #expect(write(writing, "x", 1) == 1)
            try await waiter.value
            let cancelled = Task(executorPreference: loop) {
                var octet: UInt8 = 0
                #expect(read(reading, &octet, 1) == 1)
                try await loop.wait(for: .readable, at: reading)
            }
            try await loop.sleep(for: .milliseconds(1))
            cancelled.cancel()
            await #expect(throws: CancellationError.self) { try await cancelled.value }
        }
    }

    @Test("A regular file is always ready")
    func regularFile() throws {
        let loop = try EventLoop()
        let file = open("/proc/self/exe", O_RDONLY)
        defer { close(file) }
        try loop.run { try await loop.wait(for: .readable, at: file) }
    }

    @Test("Other threads hand the loop tasks, and it wakes for each")
    func crossThread() async throws {
        let loop = try EventLoop()
        try loop.startThread()
        let sum = await withTaskGroup(of: Int.self) { group in
            for index in 0..<100 {
                group.addTask { await Task(executorPreference: loop) { loop.isCurrent ? index : -1_000_000 }.value }
            }
            return await group.reduce(0, +)
        }
        #expect(sum == 4950)
        loop.stop()
    }
}
