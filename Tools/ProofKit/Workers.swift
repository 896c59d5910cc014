import Glibc
import Synchronization

/// Two threads that take mutants from one list until it is empty.
package final class Workers: Sendable {
    private struct State: Sendable {
        var waiting: [Int]
        var results: [Int: Verdict] = [:]
        var error: ProofError?
    }

    private let state: Mutex<State>
    private let run: @Sendable (Int) throws(ProofError) -> Verdict
    private let report: @Sendable (Int, Verdict) -> Void

    /// `report` is called for each mutant as it ends, by one thread at a time.
    package init(_ run: MutantRun, _ numbers: [Int], report: @escaping @Sendable (Int, Verdict) -> Void) {
        state = Mutex(State(waiting: numbers.reversed()))
        self.run = { number throws(ProofError) in try run.run(number) }
        self.report = report
    }

    /// Runs them all.
    package func results() throws(ProofError) -> [Int: Verdict] {
        var threads: [pthread_t] = []
        for _ in 0..<2 {
            var thread = pthread_t()
            let context = Unmanaged.passRetained(self).toOpaque()
            let code = pthread_create(
                &thread, nil,
                { context in
                    Unmanaged<Workers>.fromOpaque(context!).takeRetainedValue().work()
                    return nil
                }, context)
            guard code == 0 else {
                Unmanaged<Workers>.fromOpaque(context).release()
                throw ProofError("A thread cannot be started: \(String(cString: strerror(code)))")
            }
            threads.append(thread)
        }
        for thread in threads { pthread_join(thread, nil) }
        if let error = state.withLock({ $0.error }) { throw error }
        return state.withLock { $0.results }
    }

    private func work() {
        while let number = state.withLock({ $0.error == nil ? $0.waiting.popLast() : nil }) {
            do throws(ProofError) {
                let verdict = try run(number)
                state.withLock {
                    $0.results[number] = verdict
                    report(number, verdict)
                }
            } catch {
                state.withLock { $0.error = error }
            }
        }
    }
}
